// What the relay is told: flags, then PAYSYNC_* environment variables, then the configuration file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "log.hpp"

namespace paysync::relay {

struct Options {
    std::string dsn;  // libpq's own defaults where empty
    std::string bind = "tcp://127.0.0.1:7420";
    std::string http = "127.0.0.1:7421";  // empty: none
    uint64_t window_bytes = 64ULL << 20;
    uint64_t page_bytes = 1ULL << 20;
    uint64_t batch_bytes = 64ULL << 10;
    bool verify = true;
    LogLevel log_level = LogLevel::kInfo;
    LogFormat log_format = LogFormat::kText;
};

// A key's text and where it stands, for error messages: `relay.toml:3`, `PAYSYNC_BIND`, `--bind`.
struct Setting {
    std::string value;
    std::string source;
};
using Settings = std::map<std::string, Setting, std::less<>>;

// The names every source shares: the file's keys, `--key-with-dashes`, `PAYSYNC_KEY`.
inline constexpr std::string_view kKeys[] = {"dsn",         "bind",   "http",      "window_bytes", "page_bytes",
                                             "batch_bytes", "verify", "log_level", "log_format"};

// Turns settings into options; a key that is absent keeps its default. Throws Failure (usage) with the source.
[[nodiscard]] Options read_settings(const Settings& settings);

// The settings of the environment variables `environment` ("NAME=value", ends with a null pointer).
[[nodiscard]] Settings read_environment(const char* const* environment);

}  // namespace paysync::relay

// Checks the value of every key, whatever source it came from.
#include "options.hpp"

#include <libpq-fe.h>

#include <charconv>
#include <memory>

#include "endpoint.hpp"
#include "failure.hpp"
#include "http_address.hpp"
#include "nearest.hpp"

namespace paysync::relay {

namespace {

[[noreturn]] void refuse(const Setting& setting, std::string_view key, const std::string& detail,
                         const std::string& hint = {}) {
    throw Failure(kExitUsage,
                  setting.source + ": invalid value \"" + setting.value + "\" for \"" + std::string(key) + "\"", detail,
                  hint);
}

uint64_t read_bytes(const Setting& setting, std::string_view key, uint64_t least, uint64_t most) {
    uint64_t value = 0;
    const char* const end = setting.value.data() + setting.value.size();
    const auto [at, error] = std::from_chars(setting.value.data(), end, value);
    if (error != std::errc() || at != end || value < least || value > most) {
        refuse(setting, key,
               "It is a number of bytes from " + std::to_string(least) + " to " + std::to_string(most) + ".");
    }
    return value;
}

template <typename Value, size_t kCount>
Value read_choice(const Setting& setting, std::string_view key,
                  const std::pair<std::string_view, Value> (&choices)[kCount]) {
    std::string list;
    std::vector<std::string_view> names;
    for (const auto& [name, value] : choices) {
        if (setting.value == name) return value;
        names.push_back(name);
        list += (list.empty() ? "" : ", ") + std::string(name);
    }
    refuse(setting, key, "It is one of: " + list + ".",
           "Did you mean \"" + std::string(nearest(setting.value, names)) + "\"?");
}

void check_dsn(const Setting& setting) {
    char* message = nullptr;
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
        PQconninfoParse(setting.value.c_str(), &message), PQconninfoFree);
    const std::unique_ptr<char, decltype(&PQfreemem)> owned(message, PQfreemem);
    if (parsed) return;
    std::string text = message ? message : "out of memory";
    while (!text.empty() && text.back() == '\n') text.pop_back();
    // The value may hold a password, so it is not repeated.
    throw Failure(kExitUsage, setting.source + ": invalid \"dsn\": " + text, {},
                  "Give a libpq connection string, as in dsn = \"host=/run/postgresql dbname=pay\".");
}

// What `check` says of the value, with the source before its complaint.
template <typename Check>
auto check_with_source(const Setting& setting, Check check) {
    try {
        return check(setting.value);
    } catch (const Failure& failure) {
        throw Failure(failure.status, setting.source + ": " + failure.what(), failure.detail, failure.hint);
    }
}

constexpr std::pair<std::string_view, LogLevel> kLevels[] = {{"debug", LogLevel::kDebug},
                                                             {"info", LogLevel::kInfo},
                                                             {"warning", LogLevel::kWarning},
                                                             {"error", LogLevel::kError}};
constexpr std::pair<std::string_view, LogFormat> kFormats[] = {{"text", LogFormat::kText}, {"json", LogFormat::kJson}};
constexpr std::pair<std::string_view, bool> kBooleans[] = {{"true", true}, {"false", false}};

}  // namespace

Options read_settings(const Settings& settings) {
    Options options;
    for (const auto& [key, setting] : settings) {
        if (key == "dsn") {
            check_dsn(setting);
            options.dsn = setting.value;
        } else if (key == "bind") {
            options.bind = check_with_source(setting, check_endpoint);
        } else if (key == "http") {
            if (!setting.value.empty()) (void)check_with_source(setting, parse_http_address);
            options.http = setting.value;
        } else if (key == "window_bytes") {
            options.window_bytes = read_bytes(setting, key, 1ULL << 20, 16ULL << 30);
        } else if (key == "page_bytes") {
            options.page_bytes = read_bytes(setting, key, 64ULL << 10, 64ULL << 20);
        } else if (key == "batch_bytes") {
            options.batch_bytes = read_bytes(setting, key, 1ULL << 10, 1ULL << 20);
        } else if (key == "verify") {
            options.verify = read_choice(setting, key, kBooleans);
        } else if (key == "log_level") {
            options.log_level = read_choice(setting, key, kLevels);
        } else if (key == "log_format") {
            options.log_format = read_choice(setting, key, kFormats);
        } else {
            throw Failure(kExitUsage, setting.source + ": unknown key \"" + key + "\"", {},
                          "Did you mean \"" + std::string(nearest(key, kKeys)) + "\"?");
        }
    }
    return options;
}

Settings read_environment(const char* const* environment) {
    static constexpr std::string_view kPrefix = "PAYSYNC_";
    Settings settings;
    for (; *environment != nullptr; ++environment) {
        const std::string_view entry = *environment;
        const size_t equals = entry.find('=');
        if (entry.substr(0, kPrefix.size()) != kPrefix || equals == std::string_view::npos) continue;
        std::string key(entry.substr(kPrefix.size(), equals - kPrefix.size()));
        for (char& c : key) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        // Other programs of the project have variables of their own under this prefix, so a stranger is no error.
        if (std::find(std::begin(kKeys), std::end(kKeys), key) == std::end(kKeys)) continue;
        settings[key] = Setting{std::string(entry.substr(equals + 1)), std::string(entry.substr(0, equals))};
    }
    return settings;
}

}  // namespace paysync::relay

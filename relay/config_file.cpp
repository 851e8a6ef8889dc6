// Reads the configuration file with toml++, keeping the line of every key.
#include "config_file.hpp"

#include <toml++/toml.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "failure.hpp"
#include "nearest.hpp"

namespace paysync::relay {

namespace {

enum class ValueType { kString, kInteger, kBoolean };

ValueType type_of(std::string_view key) {
    if (key == "verify") return ValueType::kBoolean;
    return key.size() > 6 && key.substr(key.size() - 6) == "_bytes" ? ValueType::kInteger : ValueType::kString;
}

std::string at_line(const std::string& path, const toml::source_region& source) {
    return path + ":" + std::to_string(source.begin.line);
}

std::string value_of(const toml::node& node, ValueType type, const std::string& source, std::string_view key) {
    if (const auto* text = node.as_string(); text && type == ValueType::kString) return text->get();
    if (const auto* number = node.as_integer(); number && type == ValueType::kInteger)
        return std::to_string(number->get());
    if (const auto* flag = node.as_boolean(); flag && type == ValueType::kBoolean)
        return flag->get() ? "true" : "false";
    static constexpr const char* kNames[] = {"a string", "an integer", "a boolean"};
    throw Failure(kExitUsage, source + ": wrong type of value for \"" + std::string(key) + "\"",
                  "It is " + std::string(kNames[static_cast<int>(type)]) + ".");
}

}  // namespace

Settings parse_config(std::string_view text, const std::string& path) {
    Settings settings;
    try {
        const toml::table table = toml::parse(text);
        for (const auto& [name, node] : table) {
            const std::string key(name.str());
            const std::string source = at_line(path, name.source());
            if (std::find(std::begin(kKeys), std::end(kKeys), key) == std::end(kKeys)) {
                throw Failure(kExitUsage, source + ": unknown key \"" + key + "\"", {},
                              "Did you mean \"" + std::string(nearest(key, kKeys)) + "\"?");
            }
            settings[key] = Setting{value_of(node, type_of(key), source, key), source};
        }
    } catch (const toml::parse_error& error) {
        throw Failure(kExitUsage, at_line(path, error.source()) + ": " + std::string(error.description()), {},
                      "The file is TOML; strings stand between quotes.");
    }
    return settings;
}

Settings read_config_file(const std::string& path) {
    // The file is read again at every reload, in the loop: a pipe that nobody writes to would stop it.
    std::error_code ignored;
    if (std::filesystem::is_fifo(path, ignored)) {
        throw Failure(kExitUsage, "cannot read configuration file \"" + path + "\": it is a pipe", {},
                      "Give a regular file with --config.");
    }
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (file) text << file.rdbuf();
    // Reading a folder opens well and fails at the first byte.
    if (!file || text.fail()) {
        const int reason = errno != 0 ? errno : EIO;
        throw Failure(kExitUsage, "cannot read configuration file \"" + path + "\": " + std::strerror(reason), {},
                      "Give a file that this user can read with --config.");
    }
    return parse_config(text.str(), path);
}

}  // namespace paysync::relay

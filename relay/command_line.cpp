// Flags with CLI11. Values stay text here: one place checks them for all sources.
#include "command_line.hpp"

#include <CLI/CLI.hpp>

#include "config_file.hpp"
#include "failure.hpp"
#include "nearest.hpp"
#include "version.hpp"

namespace paysync::relay {

namespace {

struct Flag {
    const char* name;
    const char* key;
    const char* help;
};

constexpr Flag kFlags[] = {
    {"--dsn", "dsn", "database to follow, a libpq connection string (default: libpq's own)"},
    {"--bind", "bind", "endpoint for subscribers, loopback or ipc (default: tcp://127.0.0.1:7420)"},
    {"--http", "http", "address and port for metrics and health; \"\": none (default: 127.0.0.1:7421)"},
    {"--window-bytes", "window_bytes",
     "memory for transactions that subscribers at the head share (default: 67108864)"},
    {"--page-bytes", "page_bytes", "how much one read of the outbox brings (default: 1048576)"},
    {"--batch-bytes", "batch_bytes", "target size of a batch (default: 65536)"},
    {"--verify", "verify", "check digests before sending: true or false (default: true)"},
    {"--log-level", "log_level", "debug, info, warning or error (default: info)"},
    {"--log-format", "log_format", "text or json (default: text)"},
};

std::string nearest_flag(const std::string& given) {
    std::vector<std::string_view> names = {"--config", "--check", "--version", "--help"};
    for (const Flag& flag : kFlags) names.emplace_back(flag.name);
    return std::string(nearest(given.substr(0, given.find('=')), names));
}

}  // namespace

CommandLine read_command_line(int argc, const char* const* argv, const char* const* environment) {
    CommandLine line;
    CLI::App app("Reads a database's paysync outbox and sends it to subscribers.", "paysync-relay");
    app.set_help_flag("--help", "print this and exit");
    app.footer("A flag wins over an environment variable (PAYSYNC_DSN, PAYSYNC_BIND, ...), that over the file.");
    std::map<std::string, std::string> given;
    for (const Flag& flag : kFlags) app.add_option(flag.name, given[flag.key], flag.help);
    std::string config;
    bool version = false;
    app.add_option("--config", config, "configuration file (TOML)");
    app.add_flag("--check", line.check_only, "check the configuration and exit");
    app.add_flag("--version", version, "print the version and exit");
    app.allow_extras();
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        line.print = app.help();
        return line;
    } catch (const CLI::ParseError& error) {
        throw Failure(kExitUsage, error.what(), {}, "See paysync-relay --help.");
    }
    if (const std::vector<std::string> extras = app.remaining(); !extras.empty()) {
        const bool is_flag = extras[0].substr(0, 1) == "-";
        throw Failure(kExitUsage, (is_flag ? "unknown option \"" : "unexpected argument \"") + extras[0] + "\"", {},
                      is_flag ? "Did you mean \"" + nearest_flag(extras[0]) + "\"?" : "See paysync-relay --help.");
    }
    if (version) {
        line.print = std::string("paysync-relay ") + kRelayVersion + "\n";
        return line;
    }
    Settings settings;
    for (const Flag& flag : kFlags) {
        if (app.count(flag.name) > 0) settings[flag.key] = Setting{given[flag.key], flag.name};
    }
    // merge() keeps what is there already: the order is the precedence.
    settings.merge(read_environment(environment));
    if (app.count("--config") > 0) settings.merge(read_config_file(config));
    line.options = read_settings(settings);
    return line;
}

}  // namespace paysync::relay

// `paysync status`: how capture, relays and subscribers are, asked of the database, so that it works without a relay.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace paysync::cli {

// The flags as given.
struct StatusFlags {
    std::string dsn;
    bool watch = false;
    bool json = false;
};

// Adds the subcommand to `app`; parsing fills `flags`, which must live as long.
CLI::App* add_status(CLI::App& app, StatusFlags& flags);

// Shows it once, or every second until told to stop. Returns the exit status; throws Error.
int run_status(const StatusFlags& flags);

}  // namespace paysync::cli

// `paysync tail`: committed transactions as lines of JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace paysync::cli {

// The flags as given.
struct TailFlags {
    std::vector<std::string> relays{"tcp://127.0.0.1:7420"};
    std::string subscriber;
    bool no_ack = false;
    uint64_t count = 0;  // 0: without end
    bool until_caught_up = false;
};

// Adds the subcommand to `app`; parsing fills `flags`, which must live as long.
CLI::App* add_tail(CLI::App& app, TailFlags& flags);

// Runs until told to stop. Returns the exit status; throws Refused or Error.
int run_tail(const TailFlags& flags);

}  // namespace paysync::cli

// The command line, merged with environment and file.
#pragma once

#include <optional>
#include <string>

#include "options.hpp"

namespace paysync::relay {

struct CommandLine {
    Options options;
    bool check_only = false;
    // What --help or --version print; the process then exits with status 0.
    std::optional<std::string> print;
};

// Throws Failure (usage) for whatever cannot be understood.
[[nodiscard]] CommandLine read_command_line(int argc, const char* const* argv, const char* const* environment);

}  // namespace paysync::relay

// What a subcommand writes: lines that are really out, and errors with detail and hint.
#pragma once

#include <string_view>

#include "paysync.hpp"

namespace paysync::cli {

// Writes everything, waiting as long as it takes. Returns 0 or the errno that stopped it.
[[nodiscard]] int write_all(int descriptor, std::string_view bytes);

// To standard error.
void report(const Error& error);

}  // namespace paysync::cli

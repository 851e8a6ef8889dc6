// The configuration file: TOML, one table, every key optional.
#pragma once

#include <string>
#include <string_view>

#include "options.hpp"

namespace paysync::relay {

// The settings of a file's text; `path` is for messages. Throws Failure (usage) with `path:line` for what is no TOML,
// for an unknown key and for a value of the wrong type.
[[nodiscard]] Settings parse_config(std::string_view text, const std::string& path);

// The same for the file at `path`; Failure (usage) also where it cannot be read.
[[nodiscard]] Settings read_config_file(const std::string& path);

}  // namespace paysync::relay

// Rows as lines of aligned columns.
#pragma once

#include <string>
#include <vector>

#include "database.hpp"

namespace paysync::cli {

// What a terminal may be shown: without control characters, which names and messages of others may hold.
[[nodiscard]] std::string printable(const std::string& text);

// A line of titles and one a row, two blanks before each; NULL is "-". A row has at least a cell a title; a further one
// that is not NULL stands on a line of its own below it.
[[nodiscard]] std::string text_table(const std::vector<std::string>& titles, const Rows& rows);

}  // namespace paysync::cli

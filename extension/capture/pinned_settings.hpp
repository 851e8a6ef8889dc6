// Settings that output and input functions look at, pinned so that a value has one text whatever the session has set.
#pragma once

namespace paysync {

// Pins what output functions look at until leave_settings(); with `path` also the search path, by which names are
// printed. An error puts them back too.
[[nodiscard]] int pin_settings(bool path);

// Pins all that the text of an SQL expression is printed and read by.
[[nodiscard]] int pin_expression_settings();

// Puts back what the call that gave `level` pinned.
void leave_settings(int level);

}  // namespace paysync

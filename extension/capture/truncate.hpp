// Truncates: of a table, of one partition of a table, of a table without those that inherit from it.
#pragma once

#include "byte_buffer.hpp"
#include "capture/captured_table.hpp"

namespace paysync {

// Puts what a truncate of `relation` means into the running transaction: a truncate of the table that it is reported
// as, a gap where it emptied only a part of that, or nothing where the same statement's truncate of the whole came
// before.
void capture_truncate(Relation relation, const CapturedTable& table);

}  // namespace paysync

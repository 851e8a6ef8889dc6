// Tuples of a registered table as changes (docs/wire.md §3).
#pragma once

#include "byte_buffer.hpp"
#include "capture/captured_table.hpp"
#include "wire/change.hpp"

namespace paysync {

// Packs an insert, update or delete into `out`. `new_tuple` is null for a delete, `old_tuple` for an insert.
// Values are detoasted and output functions called in the current memory context, which the caller resets.
void encode_row_change(ByteBuffer& out, Relation relation, const CapturedTable& table, wire::Operation operation,
                       CommandId command, HeapTuple new_tuple, HeapTuple old_tuple);

// Whether no column that is sent differs between the two.
bool is_unchanged(Relation relation, const CapturedTable& table, HeapTuple new_tuple, HeapTuple old_tuple);

}  // namespace paysync

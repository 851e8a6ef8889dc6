// Tuples of a registered table as changes (docs/wire.md §3).
#pragma once

#include "byte_buffer.hpp"
#include "capture/relation_cache.hpp"
#include "wire/change.hpp"

namespace paysync {

// Packs an insert, update or delete into `out`. `new_tuple` is null for a delete, `old_tuple` for an insert.
// Values are detoasted and output functions called in the current memory context, which the caller resets.
void encode_row_change(ByteBuffer& out, Relation relation, const CapturedTable& table, wire::Operation operation,
                       CommandId command, HeapTuple new_tuple, HeapTuple old_tuple);

// Packs a truncate.
void encode_truncate(ByteBuffer& out, const CapturedTable& table, CommandId command);

}  // namespace paysync

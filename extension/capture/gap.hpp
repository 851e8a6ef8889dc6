// Gaps: rows of a table came, went or changed that no change tells of (docs/wire.md §3).
#pragma once

#include "byte_buffer.hpp"
#include "capture/captured_table.hpp"

namespace paysync {

// Puts a gap into the running transaction. `channel` is interned, `reason` in the server's encoding.
void buffer_gap(int64 shape, const char* channel, CommandId place, const char* reason);

// Whether a row of `table` is the first that this transaction writes without its being captured, since it began or a
// savepoint was rolled back. Tables that are reported under one shape count as one.
bool is_first_uncaptured(CapturedTable& table);

// The transaction ended, or a savepoint of it was rolled back with the gaps in it. Cannot fail.
void forget_gaps();

}  // namespace paysync

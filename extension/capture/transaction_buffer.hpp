// The changes of the running transaction on their way into the outbox (docs/outbox.md §3).
//
// Bytes wait in parts, at most one for each nesting level that captured something. A part that is full is written at
// once, by the level that owns it; what a level wrote or holds goes with it when it is rolled back, and to its parent
// when it is released. At pre-commit the last part and the closing record follow.
#pragma once

#include "byte_buffer.hpp"
#include "capture/totals.hpp"

namespace paysync {

// The highest place that was recorded in the running transaction, also in savepoints that were rolled back; 0 at first.
CommandId highest_place();

// Adds one change to the running transaction, at the current nesting level. `change` is its whole msgpack array,
// `place` its place among the commands (command_order.hpp), `shape` its shape's id (0 for an event), `channel`
// interned. Error 55000 after the closing record was written.
void buffer_change(wire::Bytes change, CommandId place, int64 shape, const char* channel);

// The change that was added last names one more shape, so that a subscriber must have it first.
void name_shape(int64 shape, const char* channel);

// What the running transaction captures is neither refused nor discarded, if there is a subscriber at all: who suspends
// and resumes capture says so in the stream.
void keep_always();

// Whether the running transaction threw its changes away: what it captures from now on goes the same way.
bool discards();

// Whether the running transaction has chosen a segment to write to, and it is this one.
bool writes_segment(int slot);

// Installs the transaction callbacks; called once, when the library is loaded.
void watch_transactions();

}  // namespace paysync

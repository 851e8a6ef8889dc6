// Reading the chunks of one transaction, part by part.
#pragma once

#include "drain/closing_table.hpp"
#include "wire/reader.hpp"

namespace paysync {

// The segments that one call has open; each is locked ACCESS SHARE before it is read, so that it cannot be emptied
// meanwhile.
struct OpenSegments {
    MemoryContext memory;  // must outlive them
    Relation heap[kSlots];
    Relation index[kSlots];
    TupleTableSlot* row[kSlots];
    ClosingTable closings[kSlots];  // none where the outbox is of an older version
};

// None open yet; what opening takes comes from the current memory context.
[[nodiscard]] inline OpenSegments open_segments() {
    OpenSegments segments{};
    segments.memory = CurrentMemoryContext;
    return segments;
}

// Opens the one in `slot`, where it is not open yet.
void open_segment(OpenSegments& segments, int slot);
void close_segments(OpenSegments& segments);

// The payload of a transaction's closing record, as the active snapshot sees it: the bytea itself, good until the next
// call. False if it is not there. `place`: where its tick says that it is.
[[nodiscard]] bool read_closing(OpenSegments& segments, int slot, uint64 xid, ItemPointerData place, Datum& payload);

// Calls `each(context, part, payload)` for the parts of transaction `xid` in `slot` from `first_part` to `last_part`,
// in order, as the active snapshot sees them; stops early where it returns false. How many parts it was called for.
// `payload` is the bytea itself, good until the next step.
int64 read_chunks(OpenSegments& segments, int slot, uint64 xid, int32 first_part, int32 last_part,
                  bool (*each)(void* context, int32 part, Datum payload), void* context);

}  // namespace paysync

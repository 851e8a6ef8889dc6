// Where the closing records of numbered transactions lie: found along the index, for many at once, instead of by a
// descent for each.
#pragma once

#include "drain/chunk_reader.hpp"
#include "drain/tick_store.hpp"

namespace paysync {

// One walk a segment. The transactions of a tick have neighbouring ids as a rule, whatever the order of their numbers.
struct ClosingWalk {
    OpenSegments* segments;
    IndexScanDesc along[kSlots];  // null where it has not begun
    uint64 stands_at[kSlots];     // id of the entry that it stands at
    bool at_end[kSlots];          // nothing stands behind
    IndexFetchTableData* fetch[kSlots];
    ItemPointerData place[kTickTransactions];  // by index in the tick; invalid where there is none
};

// `segments` outlives it.
[[nodiscard]] ClosingWalk begin_walk(OpenSegments& segments);
void end_walk(ClosingWalk& walk);

// Fills in the places of the tick's transactions from the index `first` to before `end`.
void find_places(ClosingWalk& walk, const Tick& tick, int first, int end);

// The payload of the closing record of the transaction at `index`, whose place was found: the bytea itself, good until
// the next call. False where the active snapshot sees none.
[[nodiscard]] bool read_closing_at(ClosingWalk& walk, const Tick& tick, int index, Datum& payload);

}  // namespace paysync

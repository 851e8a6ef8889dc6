// Fetching closing records from where ticks say that they lie.
#pragma once

#include "outbox/catalog.hpp"

namespace paysync {

// A closing table that records are fetched from.
struct ClosingTable {
    Relation table;  // null: not open
    BlockNumber pages;
    IndexFetchTableData* fetch;
    TupleTableSlot* row;
    BlockNumber found_at;  // page on which a record was found that had been moved
};

// Locks it ACCESS SHARE. Memory comes from the current context.
ClosingTable open_closings(int slot);
void close_closings(ClosingTable& closings);

// The payload of the closing record of transaction `xid` as the active snapshot sees it: at `place`, or wherever the
// table's rows were moved to (VACUUM FULL). It is the bytea itself, good until the next call. False if it is not there.
bool fetch_closing(ClosingTable& closings, uint64 xid, ItemPointerData place, Datum& payload);

}  // namespace paysync

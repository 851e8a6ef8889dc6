// Closing tables, page by page: they have no index, so that a writer pays for none.
#pragma once

#include "drain/closing_scan.hpp"
#include "drain/frontier.hpp"

namespace paysync {

// Looks through what may have changed in the closing table of `slot` since `from`. Calls `each(context, row)` for what
// `snapshot` sees and `cut` does not. `next`, where it is given, is moved on: what is behind it then has been handed
// out, or is one that waits. `file` goes into the rows.
void scan_closing_pages(int slot, Oid file, const Frontier& from, const Cut& cut, Snapshot snapshot,
                        void (*each)(void* context, const ClosingRow& row), void* context, Frontier* next);

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

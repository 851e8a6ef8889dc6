// Finding closing records: those of the transactions that a snapshot sees and a cut does not, or one by its number.
#pragma once

#include "drain/cut.hpp"
#include "drain/frontier.hpp"
#include "wire/closing.hpp"

namespace paysync {

// A closing record; `payload` and the views into it live until the next step of the scan.
struct ClosingRow {
    uint64 xid;
    XLogRecPtr order_key;
    int slot;
    Oid segment_file;       // of the segment's chunks, which is another one once it was emptied
    ItemPointerData place;  // in its closing table; invalid where it is among the chunks
    wire::Bytes payload;
};

// Calls `each(context, row)` for every transaction that `snapshot` sees and `cut` does not, in no order. Looks at
// closing tables from `frontier` on, which belongs to the cut; and for closing records among the chunks, by index: one
// probe for each transaction that was running at the cut, then forward from its xmax, stepping over the chunks of open
// and large transactions. `next`, where it is given, becomes the frontier that belongs to the snapshot.
void scan_closings(const Cut& cut, const Frontier& frontier, Snapshot snapshot,
                   void (*each)(void* context, const ClosingRow& row), void* context, Frontier* next);

// The same for one segment.
void scan_closings_of(int slot, const Cut& cut, const Frontier& frontier, Snapshot snapshot,
                      void (*each)(void* context, const ClosingRow& row), void* context, Frontier* next);

// Reads the head of a closing record, or raises data corruption (PS010).
wire::Closing parse_closing(uint64 xid, wire::Bytes payload);

// The error for "the outbox does not hold what its tick recorded".
inline constexpr int kOutboxMismatch = MAKE_SQLSTATE('P', 'S', '0', '1', '0');

}  // namespace paysync

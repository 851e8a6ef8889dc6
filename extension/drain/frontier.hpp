// How far the closing tables were looked through when a tick was cut (docs/outbox.md §2).
#pragma once

#include "outbox/catalog.hpp"

namespace paysync {

// A closing record of a transaction that had not ended, left behind by the frontier.
struct WaitingRow {
    int slot;
    ItemPointerData place;
};

// Every closing record of a transaction that the tick's snapshot does not see lies in `page` of its segment or behind
// it, or waits, or is found by index. All zero: nothing was looked through.
struct Frontier {
    Oid file[kSlots];  // of the table when it was looked through; what is of another file begins anew
    BlockNumber page[kSlots];
    WaitingRow* waiting;
    int count;
    int capacity;
};

// Adds a row that waits; memory in the current context.
void add_waiting_row(Frontier& frontier, int slot, ItemPointerData place);

// The columns of a tick's row that hold a frontier.
struct FrontierColumns {
    Datum files;          // oid[]
    Datum pages;          // bigint[]
    Datum waiting_slots;  // smallint[]
    Datum waiting;        // tid[]
};
FrontierColumns pack_frontier(const Frontier& frontier);
// Memory in the current context. Error XX001 where the arrays do not fit to each other.
Frontier unpack_frontier(const FrontierColumns& columns);

}  // namespace paysync

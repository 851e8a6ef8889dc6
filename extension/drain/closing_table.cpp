#include "drain/closing_table.hpp"

#include "outbox/rows.hpp"

namespace paysync {
namespace {

// Fetches the row at `place`, on a page that is there; true if it is the record of this transaction.
bool fetch_at(ClosingTable& closings, uint64 xid, ItemPointerData place) {
    bool again = false;
    bool is_null = false;
    return table_index_fetch_tuple(closings.fetch, &place, GetActiveSnapshot(), closings.row, &again, nullptr) &&
           U64FromFullTransactionId(DatumGetFullTransactionId(slot_getattr(closings.row, kClosingXid, &is_null))) ==
               xid;
}

bool fetch_from_page(ClosingTable& closings, uint64 xid, BlockNumber page) {
    CHECK_FOR_INTERRUPTS();
    const Buffer buffer = ReadBuffer(closings.table, page);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    const OffsetNumber last = PageGetMaxOffsetNumber(BufferGetPage(buffer));
    UnlockReleaseBuffer(buffer);
    for (OffsetNumber offset = FirstOffsetNumber; offset <= last; ++offset) {
        ItemPointerData place;
        ItemPointerSet(&place, page, offset);
        if (fetch_at(closings, xid, place)) return true;
    }
    return false;
}

// Looks through all of the table, beginning where the last one that had been moved was.
bool search(ClosingTable& closings, uint64 xid) {
    for (BlockNumber i = 0; i < closings.pages; ++i) {
        const BlockNumber page = (closings.found_at + i) % closings.pages;
        if (!fetch_from_page(closings, xid, page)) continue;
        closings.found_at = page;
        return true;
    }
    return false;
}

}  // namespace

ClosingTable open_closings(int slot) {
    ClosingTable closings{};
    closings.table = table_open(catalog().closing[slot], AccessShareLock);
    // What the active snapshot sees was written before, and lies within.
    closings.pages = RelationGetNumberOfBlocks(closings.table);
    closings.fetch = table_index_fetch_begin(closings.table);
    closings.row = table_slot_create(closings.table, nullptr);
    return closings;
}

void close_closings(ClosingTable& closings) {
    ExecDropSingleTupleTableSlot(closings.row);
    table_index_fetch_end(closings.fetch);
    table_close(closings.table, AccessShareLock);
}

bool fetch_closing(ClosingTable& closings, uint64 xid, ItemPointerData place, Datum& payload) {
    const bool is_there = ItemPointerGetBlockNumber(&place) < closings.pages && fetch_at(closings, xid, place);
    if (!is_there && !search(closings, xid)) return false;
    bool is_null = false;
    payload = slot_getattr(closings.row, kClosingPayload, &is_null);
    return true;
}

}  // namespace paysync

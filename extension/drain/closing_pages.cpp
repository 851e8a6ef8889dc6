#include "drain/closing_pages.hpp"

#include "outbox/rows.hpp"

namespace paysync {
namespace {

// Pages on which nothing is left to find: all that stands there is seen by the last tick, or was rolled back. They
// need not be looked at again while their log position is the same. By page number, modulo. Known and believed only
// where ticks are cut: their cuts follow each other, and who asks by another one must look himself.
struct SettledPage {
    Oid file;
    BlockNumber page;
    XLogRecPtr written;
};
SettledPage settled[kSlots][kOpenPages];

bool is_settled(int slot, const SettledPage& now) {
    const SettledPage& known = settled[slot][now.page % kOpenPages];
    // Pages of a table that was made unlogged have no position.
    return now.written != InvalidXLogRecPtr && known.file == now.file && known.page == now.page &&
           known.written == now.written;
}

// What a row is to a tick that is being cut.
enum class Standing { kOld, kNew, kOpen };

struct Look {
    int slot;
    Oid segment_file;
    Relation heap;
    const Cut& cut;
    Snapshot snapshot;
    void (*each)(void*, const ClosingRow&);
    void* context;
    Frontier* next;  // or null
};

bool is_seen_by(const Cut& cut, uint64 xid) {
    if (xid >= cut.xmax) return false;
    for (int i = 0; i < cut.running; ++i)
        if (cut.xip[i] == xid) return false;
    return true;
}

Datum field(const Look& look, HeapTuple tuple, int number) {
    bool is_null = false;
    return heap_getattr(tuple, number, RelationGetDescr(look.heap), &is_null);
}

uint64 xid_of(const Look& look, HeapTuple tuple) {
    return U64FromFullTransactionId(DatumGetFullTransactionId(field(look, tuple, kClosingXid)));
}

// Under the page's lock. A row whose transaction the snapshot takes for running is open, whatever became of it since.
Standing standing_of(const Look& look, HeapTuple tuple, Buffer buffer) {
    if (is_seen_by(look.cut, xid_of(look, tuple))) return Standing::kOld;
    if (HeapTupleSatisfiesVisibility(tuple, look.snapshot, buffer)) return Standing::kNew;
    const TransactionId writer = HeapTupleHeaderGetRawXmin(tuple->t_data);
    const bool is_running = TransactionIdIsNormal(writer) && XidInMVCCSnapshot(writer, look.snapshot);
    return is_running ? Standing::kOpen : Standing::kOld;
}

void hand_out(const Look& look, HeapTuple tuple) {
    auto* const payload = reinterpret_cast<bytea*>(DatumGetPointer(field(look, tuple, kClosingPayload)));
    look.each(look.context, ClosingRow{xid_of(look, tuple), DatumGetLSN(field(look, tuple, kClosingOrderKey)),
                                       look.slot, look.segment_file, tuple->t_self,
                                       wire::Bytes(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload))});
}

// Finds the tuple at `offset`, if there is one.
bool tuple_at(const Look& look, Page page, BlockNumber number, OffsetNumber offset, HeapTupleData& tuple) {
    const ItemId item = PageGetItemId(page, offset);
    if (!ItemIdIsNormal(item)) return false;
    tuple.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
    tuple.t_len = ItemIdGetLength(item);
    tuple.t_tableOid = RelationGetRelid(look.heap);
    ItemPointerSet(&tuple.t_self, number, offset);
    return true;
}

// Hands out what is new between two offsets of a page; true if anything is open or new there. What is open is noted as
// waiting where the frontier moves beyond it. The page is locked while it is looked at, and pinned while rows are
// handed out: nothing moves then.
bool look_between(const Look& look, Buffer buffer, OffsetNumber first, OffsetNumber last) {
    const Page page = BufferGetPage(buffer);
    const BlockNumber number = BufferGetBlockNumber(buffer);
    OffsetNumber found[MaxHeapTuplesPerPage];
    int count = 0;
    bool is_open = false;
    for (OffsetNumber offset = first; offset <= Min(last, PageGetMaxOffsetNumber(page)); ++offset) {
        HeapTupleData tuple;
        if (!tuple_at(look, page, number, offset, tuple)) continue;
        const Standing standing = standing_of(look, &tuple, buffer);
        if (standing == Standing::kNew) found[count++] = offset;
        if (standing != Standing::kOpen) continue;
        is_open = true;
        if (look.next != nullptr && number < look.next->page[look.slot])
            add_waiting_row(*look.next, look.slot, tuple.t_self);
    }
    LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
    for (int i = 0; i < count; ++i) {
        HeapTupleData tuple;
        if (tuple_at(look, page, number, found[i], tuple)) hand_out(look, &tuple);
    }
    return is_open || count > 0;
}

void look_at_page(const Look& look, BlockNumber number) {
    CHECK_FOR_INTERRUPTS();
    const Buffer buffer = ReadBuffer(look.heap, number);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    const SettledPage now{file_of_relation(look.heap), number, BufferGetLSNAtomic(buffer)};
    if (look.next != nullptr && is_settled(look.slot, now)) {
        LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
    } else if (!look_between(look, buffer, FirstOffsetNumber, MaxOffsetNumber) && look.next != nullptr) {
        settled[look.slot][number % kOpenPages] = now;
    }
    ReleaseBuffer(buffer);
}

void look_at_row(const Look& look, ItemPointerData place) {
    const Buffer buffer = ReadBuffer(look.heap, ItemPointerGetBlockNumber(&place));
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    const OffsetNumber offset = ItemPointerGetOffsetNumber(&place);
    (void)look_between(look, buffer, offset, offset);
    ReleaseBuffer(buffer);
}

// A table that was emptied or rewritten is another file, and nothing of it was looked through; likewise one that ends
// before the page.
BlockNumber first_page(const Look& look, const Frontier& from, BlockNumber pages) {
    const bool is_same = from.file[look.slot] == file_of_relation(look.heap) && from.page[look.slot] <= pages;
    return is_same ? from.page[look.slot] : 0;
}

// How many pages there are up to the last on which anything was written. Those behind it, which writers have added and
// not written to yet, are in no log: after a crash they may not be there.
BlockNumber written_pages(Relation heap, BlockNumber pages) {
    while (pages > 0) {
        const Buffer buffer = ReadBuffer(heap, pages - 1);
        LockBuffer(buffer, BUFFER_LOCK_SHARE);
        const bool is_written = PageGetMaxOffsetNumber(BufferGetPage(buffer)) > 0;
        UnlockReleaseBuffer(buffer);
        if (is_written) break;
        pages -= 1;
    }
    return pages;
}

}  // namespace

void scan_closing_pages(int slot, Oid segment_file, const Frontier& from, const Cut& cut, Snapshot snapshot,
                        void (*each)(void*, const ClosingRow&), void* context, Frontier* next) {
    const Look look{slot,    segment_file, table_open(catalog().closing[slot], AccessShareLock), cut, snapshot, each,
                    context, next};
    // After the snapshot: what it sees was written before, and its page is among these.
    const BlockNumber pages = RelationGetNumberOfBlocks(look.heap);
    const BlockNumber first = first_page(look, from, pages);
    if (next != nullptr) {
        const BlockNumber written = written_pages(look.heap, pages);
        next->file[slot] = file_of_relation(look.heap);
        next->page[slot] = Max(first, written > kOpenPages ? written - kOpenPages : 0);
    }
    if (first > 0) {  // what waits lies before it
        for (int i = 0; i < from.count; ++i)
            if (from.waiting[i].slot == slot) look_at_row(look, from.waiting[i].place);
    }
    for (BlockNumber number = first; number < pages; ++number) look_at_page(look, number);
    table_close(look.heap, AccessShareLock);
}

}  // namespace paysync

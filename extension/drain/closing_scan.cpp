#include "drain/closing_scan.hpp"

#include "drain/closing_pages.hpp"
#include "outbox/rows.hpp"

namespace paysync {
namespace {

// One segment's table and index, open for a scan. The index is (xid, part).
struct SegmentScan {
    Relation heap;
    Relation index;
    IndexScanDesc scan;
    TupleTableSlot* slot;
    int number;
};

void set_keys(SegmentScan& segment, ScanKeyData* keys, StrategyNumber strategy, RegProcedure compare, uint64 xid,
              bool closing_only) {
    ScanKeyInit(&keys[0], 1, strategy, compare, FullTransactionIdGetDatum(FullTransactionIdFromU64(xid)));
    if (closing_only) ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(0));
    index_rescan(segment.scan, keys, closing_only ? 2 : 1, nullptr, 0);
}

uint64 index_xid(const SegmentScan& segment) {
    bool is_null = false;
    return U64FromFullTransactionId(
        DatumGetFullTransactionId(index_getattr(segment.scan->xs_itup, 1, segment.scan->xs_itupdesc, &is_null)));
}

int32 index_part(const SegmentScan& segment) {
    bool is_null = false;
    return DatumGetInt32(index_getattr(segment.scan->xs_itup, 2, segment.scan->xs_itupdesc, &is_null));
}

ClosingRow closing_row(const SegmentScan& segment) {
    bool is_null = false;
    const Datum key = slot_getattr(segment.slot, kChunkOrderKey, &is_null);
    const Datum xid = slot_getattr(segment.slot, kChunkXid, &is_null);
    auto* const payload =
        reinterpret_cast<bytea*>(DatumGetPointer(slot_getattr(segment.slot, kChunkPayload, &is_null)));
    ItemPointerData none;
    ItemPointerSetInvalid(&none);
    return ClosingRow{U64FromFullTransactionId(DatumGetFullTransactionId(xid)),
                      DatumGetLSN(key),
                      segment.number,
                      file_of_relation(segment.heap),
                      none,
                      wire::Bytes(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload))};
}

// The closing records of those that were running at the cut and have ended since.
void probe_running(SegmentScan& segment, const Cut& cut, void (*each)(void*, const ClosingRow&), void* context) {
    segment.scan = index_beginscan(segment.heap, segment.index, GetActiveSnapshot(), 2, 0);
    for (int i = 0; i < cut.running; ++i) {
        ScanKeyData keys[2];
        set_keys(segment, keys, BTEqualStrategyNumber, F_XID8EQ, cut.xip[i], true);
        while (index_getnext_slot(segment.scan, ForwardScanDirection, segment.slot))
            each(context, closing_row(segment));
        CHECK_FOR_INTERRUPTS();
    }
    index_endscan(segment.scan);
}

// The closing records from the cut's xmax on. The first index entry of a closed transaction is its closing record; from
// any other entry the scan jumps to the next transaction, so that chunks are not stepped through one by one.
void scan_forward(SegmentScan& segment, const Cut& cut, void (*each)(void*, const ClosingRow&), void* context) {
    segment.scan = index_beginscan(segment.heap, segment.index, GetActiveSnapshot(), 1, 0);
    segment.scan->xs_want_itup = true;
    ScanKeyData key;
    set_keys(segment, &key, BTGreaterEqualStrategyNumber, F_XID8GE, cut.xmax, false);
    while (index_getnext_tid(segment.scan, ForwardScanDirection) != nullptr) {
        CHECK_FOR_INTERRUPTS();
        if (index_part(segment) != 0) {
            set_keys(segment, &key, BTGreaterStrategyNumber, F_XID8GT, index_xid(segment), false);
        } else if (index_fetch_heap(segment.scan, segment.slot)) {
            each(context, closing_row(segment));
        }
    }
    index_endscan(segment.scan);
}

// Closing records among the chunks: those of older versions, and those that came late (insert_closing()).
Oid scan_chunks(int slot, const Cut& cut, void (*each)(void*, const ClosingRow&), void* context) {
    SegmentScan segment{};
    segment.number = slot;
    segment.heap = table_open(catalog().chunk[slot].table, AccessShareLock);
    const Oid segment_file = file_of_relation(segment.heap);
    if (RelationGetNumberOfBlocks(segment.heap) > 0) {
        segment.index = index_open(catalog().chunk[slot].index, AccessShareLock);
        segment.slot = table_slot_create(segment.heap, nullptr);
        if (cut.running > 0) probe_running(segment, cut, each, context);
        scan_forward(segment, cut, each, context);
        ExecDropSingleTupleTableSlot(segment.slot);
        index_close(segment.index, AccessShareLock);
    }
    table_close(segment.heap, AccessShareLock);
    return segment_file;
}

}  // namespace

void scan_closings_of(int slot, const Cut& cut, const Frontier& frontier, Snapshot snapshot,
                      void (*each)(void*, const ClosingRow&), void* context, Frontier* next) {
    PushActiveSnapshot(snapshot);
    // First: opening the chunks lets this session hear of an upgrade that brought closing tables.
    const Oid segment_file = scan_chunks(slot, cut, each, context);
    if (OidIsValid(catalog().closing[slot]))
        scan_closing_pages(slot, segment_file, frontier, cut, snapshot, each, context, next);
    PopActiveSnapshot();
}

void scan_closings(const Cut& cut, const Frontier& frontier, Snapshot snapshot, void (*each)(void*, const ClosingRow&),
                   void* context, Frontier* next) {
    for (int slot = 0; slot < kSlots; ++slot) scan_closings_of(slot, cut, frontier, snapshot, each, context, next);
}

wire::Closing parse_closing(uint64 xid, wire::Bytes payload) {
    wire::Closing closing;
    if (!wire::read_closing(payload, closing))
        ereport(ERROR, (errcode(kOutboxMismatch),
                        errmsg("closing record of transaction %llu is damaged", static_cast<unsigned long long>(xid))));
    return closing;
}

}  // namespace paysync

#include "drain/chunk_reader.hpp"

#include "outbox/rows.hpp"

namespace paysync {
namespace {

bool keep_payload(void* context, int32, Datum payload) {
    *static_cast<Datum*>(context) = payload;
    return false;
}

}  // namespace

void open_segment(OpenSegments& segments, int slot) {
    if (slot < 0 || slot >= kSlots)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("there is no segment %d", slot)));
    if (segments.heap[slot] != nullptr) return;
    const MemoryContext before = MemoryContextSwitchTo(segments.memory);
    if (OidIsValid(catalog().closing[slot])) segments.closings[slot] = open_closings(slot);
    segments.heap[slot] = table_open(catalog().chunk[slot].table, AccessShareLock);
    segments.index[slot] = index_open(catalog().chunk[slot].index, AccessShareLock);
    segments.row[slot] = table_slot_create(segments.heap[slot], nullptr);
    MemoryContextSwitchTo(before);
}

void close_segments(OpenSegments& segments) {
    for (int slot = 0; slot < kSlots; ++slot) {
        if (segments.heap[slot] == nullptr) continue;
        ExecDropSingleTupleTableSlot(segments.row[slot]);
        index_close(segments.index[slot], AccessShareLock);
        table_close(segments.heap[slot], AccessShareLock);
        if (segments.closings[slot].table != nullptr) close_closings(segments.closings[slot]);
    }
}

bool read_closing(OpenSegments& segments, int slot, uint64 xid, ItemPointerData place, Datum& payload) {
    open_segment(segments, slot);
    // Among the chunks are those of older versions, and those that came late. Without a place it is looked for there.
    if (!ItemPointerIsValid(&place)) return read_chunks(segments, slot, xid, 0, 0, keep_payload, &payload) == 1;
    ClosingTable& closings = segments.closings[slot];
    return closings.table != nullptr && fetch_closing(closings, xid, place, payload);
}

int64 read_chunks(OpenSegments& segments, int slot, uint64 xid, int32 first_part, int32 last_part,
                  bool (*each)(void*, int32, Datum), void* context) {
    open_segment(segments, slot);
    ScanKeyData keys[3];
    ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_XID8EQ, FullTransactionIdGetDatum(FullTransactionIdFromU64(xid)));
    ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT4GE, Int32GetDatum(first_part));
    ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_INT4LE, Int32GetDatum(last_part));
    const IndexScanDesc scan = index_beginscan(segments.heap[slot], segments.index[slot], GetActiveSnapshot(), 3, 0);
    index_rescan(scan, keys, 3, nullptr, 0);
    int64 count = 0;
    bool more = true;
    while (more && index_getnext_slot(scan, ForwardScanDirection, segments.row[slot])) {
        CHECK_FOR_INTERRUPTS();
        bool is_null = false;
        const int32 part = DatumGetInt32(slot_getattr(segments.row[slot], kChunkPart, &is_null));
        more = each(context, part, slot_getattr(segments.row[slot], kChunkPayload, &is_null));
        count += 1;
    }
    index_endscan(scan);
    return count;
}

}  // namespace paysync

#include "drain/closing_places.hpp"

#include "outbox/rows.hpp"

namespace paysync {
namespace {

// Entries that are stepped over, those of open transactions and further chunks, before the index is descended again.
constexpr int kSteps = 16;

struct Wanted {
    uint64 xid;
    int index;
};

int compare_wanted(const void* a, const void* b) {
    const uint64 one = static_cast<const Wanted*>(a)->xid;
    const uint64 other = static_cast<const Wanted*>(b)->xid;
    return one < other ? -1 : one > other ? 1 : 0;
}

void step(ClosingWalk& walk, int slot) {
    const IndexScanDesc scan = walk.along[slot];
    walk.at_end[slot] = index_getnext_tid(scan, ForwardScanDirection) == nullptr;
    if (walk.at_end[slot]) return;
    bool is_null = false;
    walk.stands_at[slot] = U64FromFullTransactionId(
        DatumGetFullTransactionId(index_getattr(scan->xs_itup, 1, scan->xs_itupdesc, &is_null)));
}

void descend(ClosingWalk& walk, int slot, uint64 xid) {
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_XID8GE,
                FullTransactionIdGetDatum(FullTransactionIdFromU64(xid)));
    index_rescan(walk.along[slot], &key, 1, nullptr, 0);
    step(walk, slot);
}

void begin_segment(ClosingWalk& walk, int slot, uint64 xid) {
    open_segment(*walk.segments, slot);
    const MemoryContext before = MemoryContextSwitchTo(walk.segments->memory);
    const Relation heap = walk.segments->heap[slot];
    walk.along[slot] = index_beginscan(heap, walk.segments->index[slot], GetActiveSnapshot(), 1, 0);
    walk.along[slot]->xs_want_itup = true;
    walk.fetch[slot] = table_index_fetch_begin(heap);
    MemoryContextSwitchTo(before);
    descend(walk, slot, xid);
}

// Stands at the first entry of `xid`, or behind where it would be. The first entry of a closed transaction is its
// closing record: that is part 0, and written by the transaction itself, so it is there once.
void advance(ClosingWalk& walk, int slot, uint64 xid) {
    if (walk.along[slot] == nullptr) {
        begin_segment(walk, slot, xid);
        return;
    }
    // What lies behind may have been passed; an end may be one no more, but not for this snapshot.
    if (!walk.at_end[slot] && walk.stands_at[slot] < xid) {
        for (int steps = 0; steps < kSteps; ++steps) {
            step(walk, slot);
            if (walk.at_end[slot] || walk.stands_at[slot] >= xid) return;
        }
    }
    descend(walk, slot, xid);
}

}  // namespace

ClosingWalk begin_walk(OpenSegments& segments) {
    ClosingWalk walk{};
    walk.segments = &segments;
    return walk;
}

void end_walk(ClosingWalk& walk) {
    for (int slot = 0; slot < kSlots; ++slot) {
        if (walk.along[slot] == nullptr) continue;
        table_index_fetch_end(walk.fetch[slot]);
        index_endscan(walk.along[slot]);
    }
}

void find_places(ClosingWalk& walk, const Tick& tick, int first, int end) {
    Wanted wanted[kTickTransactions];
    for (int index = first; index < end; ++index) wanted[index - first] = Wanted{tick.xids[index], index};
    qsort(wanted, static_cast<size_t>(end - first), sizeof *wanted, compare_wanted);
    for (int i = 0; i < end - first; ++i) {
        CHECK_FOR_INTERRUPTS();
        const int slot = tick.slots[wanted[i].index];
        advance(walk, slot, wanted[i].xid);
        ItemPointerData& place = walk.place[wanted[i].index];
        if (!walk.at_end[slot] && walk.stands_at[slot] == wanted[i].xid) {
            place = walk.along[slot]->xs_heaptid;
        } else {
            ItemPointerSetInvalid(&place);
        }
    }
}

bool read_closing_at(ClosingWalk& walk, const Tick& tick, int index, Datum& payload) {
    const int slot = tick.slots[index];
    ItemPointerData place = walk.place[index];
    if (!ItemPointerIsValid(&place)) return false;
    TupleTableSlot* const row = walk.segments->row[slot];
    bool again = false;
    if (!table_index_fetch_tuple(walk.fetch[slot], &place, GetActiveSnapshot(), row, &again, nullptr)) return false;
    bool is_null = false;
    payload = slot_getattr(row, kChunkPayload, &is_null);
    return DatumGetInt32(slot_getattr(row, kChunkPart, &is_null)) == 0;
}

}  // namespace paysync

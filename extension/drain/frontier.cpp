#include "drain/frontier.hpp"

namespace paysync {
namespace {

struct Elements {
    Datum* values;
    int count;
};

Elements elements_of(Datum array, Oid type, int16 length, bool by_value, char alignment) {
    Elements elements{};
    bool* nulls = nullptr;
    deconstruct_array(DatumGetArrayTypeP(array), type, length, by_value, alignment, &elements.values, &nulls,
                      &elements.count);
    return elements;
}

Datum array_of(Datum* values, int count, Oid type, int length, bool by_value, char alignment) {
    return PointerGetDatum(construct_array(values, count, type, length, by_value, alignment));
}

[[noreturn]] void report_damaged() {
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("the frontier of a tick is damaged")));
    pg_unreachable();
}

Datum* datums(int count) { return static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<size_t>(count + 1))); }

}  // namespace

void add_waiting_row(Frontier& frontier, int slot, ItemPointerData place) {
    if (frontier.count == frontier.capacity) {
        const int capacity = Max(16, frontier.capacity * 2);
        auto* const rows = static_cast<WaitingRow*>(palloc(sizeof(WaitingRow) * static_cast<size_t>(capacity)));
        if (frontier.count > 0)
            memcpy(rows, frontier.waiting, sizeof(WaitingRow) * static_cast<size_t>(frontier.count));
        frontier.waiting = rows;
        frontier.capacity = capacity;
    }
    frontier.waiting[frontier.count++] = WaitingRow{slot, place};
}

FrontierColumns pack_frontier(const Frontier& frontier) {
    Datum files[kSlots];
    Datum pages[kSlots];
    for (int slot = 0; slot < kSlots; ++slot) {
        files[slot] = ObjectIdGetDatum(frontier.file[slot]);
        pages[slot] = Int64GetDatum(frontier.page[slot]);
    }
    Datum* const slots = datums(frontier.count);
    Datum* const places = datums(frontier.count);
    for (int i = 0; i < frontier.count; ++i) {
        slots[i] = Int16GetDatum(static_cast<int16>(frontier.waiting[i].slot));
        places[i] = PointerGetDatum(&frontier.waiting[i].place);
    }
    return FrontierColumns{array_of(files, kSlots, OIDOID, sizeof(Oid), true, TYPALIGN_INT),
                           array_of(pages, kSlots, INT8OID, sizeof(int64), true, TYPALIGN_DOUBLE),
                           array_of(slots, frontier.count, INT2OID, sizeof(int16), true, TYPALIGN_SHORT),
                           array_of(places, frontier.count, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT)};
}

Frontier unpack_frontier(const FrontierColumns& columns) {
    Frontier frontier{};
    const Elements files = elements_of(columns.files, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
    const Elements pages = elements_of(columns.pages, INT8OID, sizeof(int64), true, TYPALIGN_DOUBLE);
    const Elements slots = elements_of(columns.waiting_slots, INT2OID, sizeof(int16), true, TYPALIGN_SHORT);
    const Elements places = elements_of(columns.waiting, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT);
    if (files.count != kSlots || pages.count != kSlots || slots.count != places.count) report_damaged();
    for (int slot = 0; slot < kSlots; ++slot) {
        frontier.file[slot] = DatumGetObjectId(files.values[slot]);
        frontier.page[slot] = static_cast<BlockNumber>(DatumGetInt64(pages.values[slot]));
    }
    for (int i = 0; i < slots.count; ++i) {
        const int slot = DatumGetInt16(slots.values[i]);
        const auto place = *reinterpret_cast<ItemPointerData*>(DatumGetPointer(places.values[i]));
        if (slot < 0 || slot >= kSlots || !ItemPointerIsValid(&place)) report_damaged();
        add_waiting_row(frontier, slot, place);
    }
    return frontier;
}

}  // namespace paysync

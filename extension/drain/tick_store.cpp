#include "drain/tick_store.hpp"

#include "outbox/rows.hpp"

namespace paysync {
namespace {

// Lists of so many leave a row below the size from which the server compresses.
constexpr int kUncompressedTransactions = 96;

Datum digest_datum(const wire::Digest& digest) {
    auto* const datum = static_cast<bytea*>(palloc(VARHDRSZ + wire::kDigestBytes));
    SET_VARSIZE(datum, VARHDRSZ + wire::kDigestBytes);
    wire::put_digest(VARDATA(datum), digest);
    return PointerGetDatum(datum);
}

Datum xid_array(const Tick& tick) {
    auto* const elements = static_cast<Datum*>(palloc(sizeof(Datum) * kTickTransactions));
    for (int i = 0; i < tick.transactions; ++i)
        elements[i] = FullTransactionIdGetDatum(FullTransactionIdFromU64(tick.xids[i]));
    return PointerGetDatum(
        construct_array(elements, tick.transactions, XID8OID, sizeof(uint64), true, TYPALIGN_DOUBLE));
}

Datum slot_array(const Tick& tick) {
    auto* const elements = static_cast<Datum*>(palloc(sizeof(Datum) * kTickTransactions));
    for (int i = 0; i < tick.transactions; ++i) elements[i] = Int16GetDatum(tick.slots[i]);
    return PointerGetDatum(construct_array(elements, tick.transactions, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
}

Datum place_array(const Tick& tick) {
    auto* const elements = static_cast<Datum*>(palloc(sizeof(Datum) * kTickTransactions));
    for (int i = 0; i < tick.transactions; ++i)
        elements[i] = PointerGetDatum(const_cast<ItemPointerData*>(&tick.places[i]));
    return PointerGetDatum(
        construct_array(elements, tick.transactions, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT));
}

// A list as it goes into a row. That of a large tick the server would compress by pglz, which took a sixth of the
// leader's time with ticks of 140 transactions, at 10,000 a second; where it knows lz4, that is done here.
Datum compressed(const Tick& tick, Datum list) {
#ifdef USE_LZ4
    if (tick.transactions > kUncompressedTransactions) {
        const Datum shorter = toast_compress_datum(list, TOAST_LZ4_COMPRESSION);
        if (DatumGetPointer(shorter) != nullptr) return shorter;
    }
#endif
    return list;
}

// Null where the table is of an older version, or was filled by one.
bool has_column(HeapTuple tuple, Relation table, int number) {
    return number <= RelationGetDescr(table)->natts && !heap_attisnull(tuple, number, RelationGetDescr(table));
}

Datum column(HeapTuple tuple, Relation table, int number) {
    bool is_null = false;
    return heap_getattr(tuple, number, RelationGetDescr(table), &is_null);
}

[[noreturn]] void report_damaged(const Tick& tick) {
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("tick ending at %lld is damaged", static_cast<long long>(tick.last_number))));
    pg_unreachable();
}

void read_places(HeapTuple tuple, Relation table, Tick& tick) {
    if (!has_column(tuple, table, kTickPlaces)) {
        for (int i = 0; i < tick.transactions; ++i) ItemPointerSetInvalid(&tick.places[i]);
        return;
    }
    ArrayType* const places = DatumGetArrayTypeP(column(tuple, table, kTickPlaces));
    if (ArrayGetNItems(ARR_NDIM(places), ARR_DIMS(places)) != tick.transactions) report_damaged(tick);
    memcpy(tick.places, ARR_DATA_PTR(places), sizeof(ItemPointerData) * static_cast<size_t>(tick.transactions));
}

void read_transactions(HeapTuple tuple, Relation table, Tick& tick) {
    ArrayType* const xids = DatumGetArrayTypeP(column(tuple, table, kTickXids));
    ArrayType* const slots = DatumGetArrayTypeP(column(tuple, table, kTickSlots));
    tick.transactions = ArrayGetNItems(ARR_NDIM(xids), ARR_DIMS(xids));
    if (tick.transactions > kTickTransactions || ArrayGetNItems(ARR_NDIM(slots), ARR_DIMS(slots)) != tick.transactions)
        report_damaged(tick);
    memcpy(tick.xids, ARR_DATA_PTR(xids), sizeof(uint64) * static_cast<size_t>(tick.transactions));
    memcpy(tick.slots, ARR_DATA_PTR(slots), sizeof(int16) * static_cast<size_t>(tick.transactions));
    read_places(tuple, table, tick);
}

// Does this slot hold a tick that ends at or after `number`, and begins before what was found so far?
void find_in_slot(int slot, int64 number, Tick& tick, bool& found) {
    const Relation table = table_open(catalog().tick[slot].table, AccessShareLock);
    if (RelationGetNumberOfBlocks(table) > 0) {
        const Relation index = index_open(catalog().tick[slot].index, AccessShareLock);
        ScanKeyData key;
        ScanKeyInit(&key, kTickLastNumber, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(number));
        const SysScanDesc scan = systable_beginscan_ordered(table, index, GetActiveSnapshot(), 1, &key);
        for (HeapTuple tuple = systable_getnext_ordered(scan, ForwardScanDirection); HeapTupleIsValid(tuple);
             tuple = systable_getnext_ordered(scan, ForwardScanDirection)) {
            const int64 first = DatumGetInt64(column(tuple, table, kTickFirstNumber));
            const int64 last = DatumGetInt64(column(tuple, table, kTickLastNumber));
            if (first > last) continue;  // the row a segment begins with
            if (found && first >= tick.first_number) break;
            found = true;
            tick.first_number = first;
            tick.last_number = last;
            tick.epoch = DatumGetInt64(column(tuple, table, kTickEpoch));
            tick.exact = DatumGetBool(column(tuple, table, kTickExact));
            read_transactions(tuple, table, tick);
            break;
        }
        systable_endscan_ordered(scan);
        index_close(index, AccessShareLock);
    }
    table_close(table, AccessShareLock);
}

// What an exact tick's snapshot sees, and how far was looked for it.
void read_bounds(HeapTuple tuple, Relation table, StreamHead& head) {
    if (!has_column(tuple, table, kTickSnapshot))
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("tick ending at %lld has no snapshot", static_cast<long long>(head.number))));
    head.cut = cut_of_snapshot(column(tuple, table, kTickSnapshot));
    head.frontier = Frontier{};
    if (!has_column(tuple, table, kTickFiles)) return;
    head.frontier = unpack_frontier({column(tuple, table, kTickFiles), column(tuple, table, kTickPages),
                                     column(tuple, table, kTickWaitingSlots), column(tuple, table, kTickWaiting)});
}

// The last row of a slot that ends between two numbers, if it ends after `head`.
void head_in_slot(int slot, int64 at_least, int64 at_most, StreamHead& head, bool& found) {
    const Relation table = table_open(catalog().tick[slot].table, AccessShareLock);
    if (RelationGetNumberOfBlocks(table) > 0) {
        const Relation index = index_open(catalog().tick[slot].index, AccessShareLock);
        // The lower bound keeps the scan from looking at all of the index's last page.
        ScanKeyData keys[2];
        ScanKeyInit(&keys[0], kTickLastNumber, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(at_least));
        ScanKeyInit(&keys[1], kTickLastNumber, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(at_most));
        const SysScanDesc scan = systable_beginscan_ordered(table, index, nullptr, 2, keys);
        const HeapTuple tuple = systable_getnext_ordered(scan, BackwardScanDirection);
        if (HeapTupleIsValid(tuple)) {
            const int64 last = DatumGetInt64(column(tuple, table, kTickLastNumber));
            if (!found || last > head.number) {
                head.number = last;
                head.taken_at = DatumGetTimestampTz(column(tuple, table, kTickTakenAt));
                head.total_bytes = has_column(tuple, table, kTickTotalBytes)
                                       ? DatumGetInt64(column(tuple, table, kTickTotalBytes))
                                       : 0;
                read_bounds(tuple, table, head);
            }
            found = true;
        }
        systable_endscan_ordered(scan);
        index_close(index, AccessShareLock);
    }
    table_close(table, AccessShareLock);
}

}  // namespace

void insert_tick(const Tick& tick, int slot) {
    Datum values[kTickColumns];
    bool nulls[kTickColumns] = {};
    auto set = [&values](TickColumn number, Datum value) { values[number - 1] = value; };
    set(kTickLastNumber, Int64GetDatum(tick.last_number));
    set(kTickFirstNumber, Int64GetDatum(tick.first_number));
    set(kTickEpoch, Int64GetDatum(tick.epoch));
    set(kTickExact, BoolGetDatum(tick.exact));
    set(kTickSnapshot, tick.snapshot);
    nulls[kTickSnapshot - 1] = !tick.exact;
    set(kTickTakenAt, TimestampTzGetDatum(GetCurrentTimestamp()));
    set(kTickChanges, Int64GetDatum(tick.changes));
    set(kTickBytes, Int64GetDatum(tick.bytes));
    set(kTickDigest, digest_datum(tick.digest));
    set(kTickFirstKey, LSNGetDatum(tick.first_key));
    set(kTickLastKey, LSNGetDatum(tick.last_key));
    set(kTickXids, compressed(tick, xid_array(tick)));
    set(kTickSlots, compressed(tick, slot_array(tick)));
    // A table of an older version has no room for these, and leaves them out.
    set(kTickTotalBytes, Int64GetDatum(tick.total_bytes));
    set(kTickOldestAt, TimestampTzGetDatum(tick.oldest_at));
    set(kTickPlaces, compressed(tick, place_array(tick)));
    for (const TickColumn number : {kTickFiles, kTickPages, kTickWaitingSlots, kTickWaiting})
        nulls[number - 1] = !tick.exact;
    if (tick.exact) {
        const FrontierColumns frontier = pack_frontier(tick.frontier);
        set(kTickFiles, frontier.files);
        set(kTickPages, frontier.pages);
        set(kTickWaitingSlots, frontier.waiting_slots);
        set(kTickWaiting, frontier.waiting);
    }
    insert_row(catalog().tick[slot].table, values, nulls);
}

StreamHead read_head(int64 at_least) {
    StreamHead head{};
    bool found = false;
    for (int slot = 0; slot < kSlots; ++slot) head_in_slot(slot, at_least, PG_INT64_MAX, head, found);
    if (!found && at_least > PG_INT64_MIN) return read_head();
    if (!found)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the outbox holds no tick"),
                        errhint("Extension paysync is damaged: create it again.")));
    return head;
}

StreamHead read_exact(int64 number) {
    StreamHead tick{};
    bool found = false;
    for (int slot = 0; slot < kSlots; ++slot) head_in_slot(slot, number, number, tick, found);
    if (!found)
        ereport(ERROR,
                (errcode(ERRCODE_DATA_CORRUPTED), errmsg("no tick ends at %lld", static_cast<long long>(number))));
    return tick;
}

bool find_tick(int64 number, Tick& tick) {
    bool found = false;
    tick.first_number = 0;
    // Mostly it is one of the last: the current segment first, then the others.
    const int current = outbox_state().slot;
    for (int i = 0; i < kSlots; ++i) {
        find_in_slot((current + i) % kSlots, number, tick, found);
        if (found && tick.first_number <= number) return true;
    }
    return false;
}

}  // namespace paysync

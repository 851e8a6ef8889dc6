#include "drain/ticker.hpp"

#include "drain/closing_scan.hpp"
#include "drain/kept_plan.hpp"
#include "drain/tick_store.hpp"

namespace paysync {
namespace {

// Columns of the rows that are sorted, from 1. Large backlogs spill to disk by themselves.
enum SortColumn {
    kSortKey = 1,
    kSortXid,
    kSortSlot,
    kSortPlace,  // packed
    kSortChanges,
    kSortBytes,
    kSortDigestHigh,
    kSortDigestLow,
    kSortTime,
    kSortColumns = kSortTime
};

struct Collector {
    TupleDesc columns;
    TupleTableSlot* row;
    Tuplesortstate* sort;  // null until the first transaction is found
    int64 found;
    Oid segment_file[kSlots];  // of those in which something was found
    Frontier frontier;         // that belongs to the snapshot
};

TupleDesc make_columns() {
    const TupleDesc columns = CreateTemplateTupleDesc(kSortColumns);
    for (int i = 1; i <= kSortColumns; ++i)
        TupleDescInitEntry(columns, static_cast<AttrNumber>(i), "value", INT8OID, -1, 0);
    return columns;
}

void begin_sort(Collector& collector) {
    AttrNumber columns[] = {kSortKey, kSortXid};
    Oid less[] = {Int8LessOperator, Int8LessOperator};
    Oid collations[] = {InvalidOid, InvalidOid};
    bool nulls_first[] = {false, false};
    collector.columns = make_columns();
    collector.row = MakeSingleTupleTableSlot(collector.columns, &TTSOpsVirtual);
    collector.sort = tuplesort_begin_heap(collector.columns, 2, columns, less, collations, nulls_first,
                                          maintenance_work_mem, nullptr, TUPLESORT_NONE);
}

int64 packed_place(ItemPointerData place) {
    if (!ItemPointerIsValid(&place)) return 0;
    return static_cast<int64>(ItemPointerGetBlockNumber(&place)) << 16 | ItemPointerGetOffsetNumber(&place);
}

ItemPointerData unpacked_place(int64 packed) {
    ItemPointerData place;
    ItemPointerSetInvalid(&place);
    if (packed != 0)
        ItemPointerSet(&place, static_cast<BlockNumber>(packed >> 16), static_cast<OffsetNumber>(packed & 0xffff));
    return place;
}

void collect(void* context, const ClosingRow& found) {
    Collector& collector = *static_cast<Collector*>(context);
    if (collector.sort == nullptr) begin_sort(collector);
    const wire::Closing closing = parse_closing(found.xid, found.payload);
    ExecClearTuple(collector.row);
    Datum* const values = collector.row->tts_values;
    values[kSortKey - 1] = Int64GetDatum(static_cast<int64>(found.order_key));
    values[kSortXid - 1] = Int64GetDatum(static_cast<int64>(found.xid));
    values[kSortSlot - 1] = Int64GetDatum(found.slot);
    values[kSortPlace - 1] = Int64GetDatum(packed_place(found.place));
    values[kSortChanges - 1] = Int64GetDatum(static_cast<int64>(closing.changes));
    values[kSortBytes - 1] = Int64GetDatum(static_cast<int64>(closing.bytes));
    values[kSortDigestHigh - 1] = Int64GetDatum(static_cast<int64>(closing.digest.high));
    values[kSortDigestLow - 1] = Int64GetDatum(static_cast<int64>(closing.digest.low));
    values[kSortTime - 1] = Int64GetDatum(closing.time);
    memset(collector.row->tts_isnull, 0, sizeof(bool) * kSortColumns);
    ExecStoreVirtualTuple(collector.row);
    tuplesort_puttupleslot(collector.sort, collector.row);
    collector.segment_file[found.slot] = found.segment_file;
    collector.found += 1;
}

int64 sorted_value(TupleTableSlot* row, SortColumn number) {
    bool is_null = false;
    return DatumGetInt64(slot_getattr(row, number, &is_null));
}

void add_to_tick(Tick& tick, TupleTableSlot* row) {
    const auto key = static_cast<XLogRecPtr>(sorted_value(row, kSortKey));
    if (tick.transactions == 0) tick.first_key = key;
    tick.last_key = key;
    tick.xids[tick.transactions] = static_cast<uint64>(sorted_value(row, kSortXid));
    tick.slots[tick.transactions] = static_cast<int16>(sorted_value(row, kSortSlot));
    tick.places[tick.transactions] = unpacked_place(sorted_value(row, kSortPlace));
    tick.transactions += 1;
    tick.last_number += 1;
    tick.changes += sorted_value(row, kSortChanges);
    tick.bytes += sorted_value(row, kSortBytes);
    tick.total_bytes += sorted_value(row, kSortBytes);
    tick.oldest_at = Min(tick.oldest_at, sorted_value(row, kSortTime));
    const wire::Digest digest{static_cast<uint64>(sorted_value(row, kSortDigestHigh)),
                              static_cast<uint64>(sorted_value(row, kSortDigestLow))};
    tick.digest += wire::numbered_digest(static_cast<uint64>(tick.last_number), digest);
}

void start_tick(Tick& tick, int64 after, int64 epoch) {
    tick.first_number = after + 1;
    tick.last_number = after;
    tick.epoch = epoch;
    tick.exact = false;
    tick.transactions = 0;
    tick.changes = tick.bytes = 0;
    tick.oldest_at = PG_INT64_MAX;
    tick.digest = wire::Digest{};
}

// Writes what was collected as ticks of at most kTickTransactions. Only the last ends where the snapshot does: an inner
// one is causally closed, but not a state the source was ever in.
void write_ticks(Collector& collector, const StreamHead& after, int64 epoch, Datum snapshot, int slot) {
    tuplesort_performsort(collector.sort);
    TupleTableSlot* const row = MakeSingleTupleTableSlot(collector.columns, &TTSOpsMinimalTuple);
    const MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "paysync tick", ALLOCSET_DEFAULT_SIZES);
    const MemoryContext before = MemoryContextSwitchTo(memory);
    Tick* const tick = static_cast<Tick*>(MemoryContextAlloc(before, sizeof(Tick)));
    start_tick(*tick, after.number, epoch);
    tick->total_bytes = after.total_bytes;
    int64 left = collector.found;
    while (tuplesort_gettupleslot(collector.sort, true, false, row, nullptr)) {
        CHECK_FOR_INTERRUPTS();
        add_to_tick(*tick, row);
        left -= 1;
        if (tick->transactions < kTickTransactions && left > 0) continue;
        tick->exact = left == 0;
        // What was prepared long ago was not to be seen before the last tick.
        tick->oldest_at = Max(tick->oldest_at, after.taken_at);
        tick->snapshot = snapshot;
        tick->frontier = collector.frontier;
        insert_tick(*tick, slot);
        start_tick(*tick, tick->last_number, epoch);
        MemoryContextReset(memory);
    }
    MemoryContextSwitchTo(before);
    ExecDropSingleTupleTableSlot(row);
}

// Holds the fencing row until the end of the transaction, alone among those that cut ticks, or finds that another relay
// has taken over.
void check_fence(int64 epoch) {
    static SPIPlanPtr plan = nullptr;
    kept_plan(plan, "SELECT epoch FROM paysync.fence FOR NO KEY UPDATE", 0, nullptr);
    if (SPI_execute_plan(plan, nullptr, nullptr, false, 1) != SPI_OK_SELECT || SPI_processed != 1)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("paysync.fence has no row")));
    bool is_null = false;
    const int64 leading = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
    if (leading != epoch)
        ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                        errmsg("epoch %lld is fenced", static_cast<long long>(epoch)),
                        errdetail("Epoch %lld has begun: another relay leads.", static_cast<long long>(leading)),
                        errhint("This relay must stop, or wait for the lease and begin an epoch of its own.")));
}

// Whether what was found is still there: where nobody has a claim to it, a segment is emptied under the fencing row
// alone. The segments stay locked until the tick is committed. The file of the chunks stands for all of a segment,
// whose tables are emptied together.
bool is_still_there(const Collector& collector) {
    bool is_there = true;
    for (int slot = 0; slot < kSlots; ++slot) {
        if (!OidIsValid(collector.segment_file[slot])) continue;
        const Relation table = table_open(catalog().chunk[slot].table, AccessShareLock);
        is_there = is_there && file_of_relation(table) == collector.segment_file[slot];
        table_close(table, NoLock);
    }
    return is_there;
}

// What is delivered must be durable, whatever the session's or the database's setting.
void pin_durability() {
    if (synchronous_commit < SYNCHRONOUS_COMMIT_REMOTE_FLUSH)
        set_config_option("synchronous_commit", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

}  // namespace

TickResult cut_ticks(int64 epoch, int64 known) {
    const StreamHead head = read_head(known);
    // Before this transaction has an id. It never writes to a chunk table.
    const Snapshot snapshot = RegisterSnapshot(GetTransactionSnapshot());
    Collector collector{};
    scan_closings(head.cut, head.frontier, snapshot, collect, &collector, &collector.frontier);
    TickResult result{head.number, 0};
    if (collector.sort != nullptr) {
        PushActiveSnapshot(snapshot);
        const Datum snapshot_value = DirectFunctionCall1(pg_current_snapshot, Int32GetDatum(0));
        PopActiveSnapshot();
        pin_durability();
        check_fence(epoch);
        // While the fence was waited for, the segment may have been switched, and a second session of the same relay
        // may have cut a tick: then what was found is its, and the caller looks again. Likewise where it is gone.
        AcceptInvalidationMessages();
        const StreamHead now = read_head(head.number);
        result.head = now.number;
        if (now.number == head.number && is_still_there(collector)) {
            write_ticks(collector, now, epoch, snapshot_value, outbox_state().slot);
            result = TickResult{head.number + collector.found, collector.found};
        }
        tuplesort_end(collector.sort);
    }
    UnregisterSnapshot(snapshot);
    return result;
}

}  // namespace paysync

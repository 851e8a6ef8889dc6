#include "outbox/rows.hpp"

namespace paysync {

void insert_row(const OutboxTable& table, const Datum* values, const bool* nulls, const int* key_columns, int keys) {
    const Relation heap = table_open(table.table, RowExclusiveLock);
    const HeapTuple tuple = heap_form_tuple(RelationGetDescr(heap), const_cast<Datum*>(values), const_cast<bool*>(nulls));
    heap_insert(heap, tuple, GetCurrentCommandId(true), 0, nullptr);

    const Relation index = index_open(table.index, RowExclusiveLock);
    Datum key_values[INDEX_MAX_KEYS];
    bool key_nulls[INDEX_MAX_KEYS];
    for (int i = 0; i < keys; ++i) {
        key_values[i] = values[key_columns[i] - 1];
        key_nulls[i] = nulls[key_columns[i] - 1];
    }
    // Unique by construction; checked all the same, since a double row here would be a double payment.
    index_insert(index, key_values, key_nulls, &tuple->t_self, heap, UNIQUE_CHECK_YES, false, nullptr);
    index_close(index, NoLock);
    heap_freetuple(tuple);
    table_close(heap, NoLock);
}

void insert_chunk(int slot, FullTransactionId xid, int32 part, XLogRecPtr order_key, Datum payload) {
    static const int kKey[] = {kChunkXid, kChunkPart};
    const Datum values[] = {FullTransactionIdGetDatum(xid), LSNGetDatum(order_key), Int32GetDatum(part), payload};
    const bool nulls[] = {false, false, false, false};
    insert_row(catalog().chunk[slot], values, nulls, kKey, 2);
}

}  // namespace paysync

#include "outbox/rows.hpp"

namespace paysync {
namespace {

// Without the executor every index of a table is filled by hand; one that is forgotten finds nothing, without a word.
void add_to_index(Oid index_oid, Relation heap, HeapTuple tuple, const Datum* values, const bool* nulls,
                  const int* columns, int count, IndexUniqueCheck check) {
    const Relation index = index_open(index_oid, RowExclusiveLock);
    Datum key_values[INDEX_MAX_KEYS];
    bool key_nulls[INDEX_MAX_KEYS];
    for (int i = 0; i < count; ++i) {
        key_values[i] = values[columns[i] - 1];
        key_nulls[i] = nulls[columns[i] - 1];
    }
    index_insert(index, key_values, key_nulls, &tuple->t_self, heap, check, false, nullptr);
    index_close(index, NoLock);
}

}  // namespace

void insert_row(const OutboxTable& table, const Datum* values, const bool* nulls, const int* key_columns, int keys,
                Oid other_index, int other_column) {
    const Relation heap = table_open(table.table, RowExclusiveLock);
    const HeapTuple tuple =
        heap_form_tuple(RelationGetDescr(heap), const_cast<Datum*>(values), const_cast<bool*>(nulls));
    heap_insert(heap, tuple, GetCurrentCommandId(true), 0, nullptr);

    // Unique by construction; checked all the same, since a double row here would be a double payment.
    add_to_index(table.index, heap, tuple, values, nulls, key_columns, keys, UNIQUE_CHECK_YES);
    if (OidIsValid(other_index))
        add_to_index(other_index, heap, tuple, values, nulls, &other_column, 1, UNIQUE_CHECK_NO);
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

#include "outbox/rows.hpp"

namespace paysync {
namespace {

[[noreturn]] void refuse_index(Relation index, const char* what) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("index \"%s\" of schema paysync is %s", RelationGetRelationName(index), what),
                    errhint("Drop it: the extension's tables take no indexes but their own.")));
    pg_unreachable();
}

void add_to_index(Relation index, Relation heap, HeapTuple tuple, const Datum* values, const bool* nulls) {
    const Form_pg_index form = index->rd_index;
    // Others keep what they know between inserts in an IndexInfo, which only the executor has.
    if (index->rd_rel->relam != BTREE_AM_OID) refuse_index(index, "no B-tree");
    Datum key_values[INDEX_MAX_KEYS];
    bool key_nulls[INDEX_MAX_KEYS];
    for (int i = 0; i < form->indnatts; ++i) {
        const int column = form->indkey.values[i];
        if (column <= 0) refuse_index(index, "on an expression");
        key_values[i] = values[column - 1];
        key_nulls[i] = nulls[column - 1];
    }
    // Unique by construction; checked all the same, since a double row here would be a double payment.
    const IndexUniqueCheck check = form->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO;
    index_insert(index, key_values, key_nulls, &tuple->t_self, heap, check, false, nullptr);
}

// Without the executor every index is filled by hand; one that is forgotten finds nothing, without a word. That is
// every index that is ready now, not those that were made with the table: REINDEX CONCURRENTLY builds one beside the
// other.
void add_to_indexes(Relation heap, HeapTuple tuple, const Datum* values, const bool* nulls) {
    List* const indexes = RelationGetIndexList(heap);
    ListCell* cell = nullptr;
    foreach (cell, indexes) {
        const Relation index = index_open(lfirst_oid(cell), RowExclusiveLock);
        if (index->rd_index->indisready) add_to_index(index, heap, tuple, values, nulls);
        index_close(index, NoLock);
    }
    list_free(indexes);
}

// Adds a row and leaves the tuple that was made of it, with its place. `options` are those of heap_insert().
HeapTuple add_row(Relation heap, const Datum* values, const bool* nulls, int options) {
    const HeapTuple tuple =
        heap_form_tuple(RelationGetDescr(heap), const_cast<Datum*>(values), const_cast<bool*>(nulls));
    heap_insert(heap, tuple, GetCurrentCommandId(true), options, nullptr);
    add_to_indexes(heap, tuple, values, nulls);
    return tuple;
}

bool is_near_end(BlockNumber page, BlockNumber pages, BlockNumber distance) { return page + distance >= pages; }

// Where the session wrote its last closing record, what stood in the log then, and how many pages behind the end it
// was.
struct LastPlace {
    Oid file;
    XLogRecPtr log;
    BlockNumber behind;
};
LastPlace last_place{};

// Pages that are filled leave at least their size in the log: so far the end may have moved since. Pages that were
// added and not filled are not counted; that is why what was written is looked at again afterwards.
bool is_near_by_log(Relation heap, XLogRecPtr log) {
    return last_place.file == file_of_relation(heap) &&
           last_place.behind + (log - last_place.log) / BLCKSZ < kOpenPages / 2;
}

// The session goes on where it wrote last, unless others have left that page behind: then at the end of the table.
void keep_near_end(Relation heap, XLogRecPtr log) {
    const BlockNumber page = RelationGetTargetBlock(heap);
    if (page != InvalidBlockNumber && !is_near_by_log(heap, log) &&
        !is_near_end(page, RelationGetNumberOfBlocks(heap), kOpenPages / 2))
        RelationSetTargetBlock(heap, InvalidBlockNumber);
}

}  // namespace

void insert_row(Oid table, const Datum* values, const bool* nulls) {
    const Relation heap = table_open(table, RowExclusiveLock);
    heap_freetuple(add_row(heap, values, nulls, 0));
    table_close(heap, NoLock);
}

void insert_chunk(int slot, FullTransactionId xid, int32 part, XLogRecPtr order_key, Datum payload) {
    const Datum values[] = {FullTransactionIdGetDatum(xid), LSNGetDatum(order_key), Int32GetDatum(part), payload};
    const bool nulls[] = {false, false, false, false};
    insert_row(catalog().chunk[slot].table, values, nulls);
}

void insert_closing(int slot, FullTransactionId xid, XLogRecPtr order_key, Datum payload) {
    const Oid table = catalog().closing[slot];
    if (!OidIsValid(table)) {
        insert_chunk(slot, xid, 0, order_key, payload);
        return;
    }
    const Datum values[] = {FullTransactionIdGetDatum(xid), LSNGetDatum(order_key), payload};
    const bool nulls[] = {false, false, false};
    const Relation heap = table_open(table, RowExclusiveLock);
    keep_near_end(heap, order_key);
    // Free space before the end is not looked for: who reads looks near the end only.
    const HeapTuple tuple = add_row(heap, values, nulls, HEAP_INSERT_SKIP_FSM);
    const BlockNumber page = ItemPointerGetBlockNumber(&tuple->t_self);
    // Between choosing the page and writing to it any time may have passed. What others have left behind meanwhile may
    // have been looked through: then the record is found by index, among the chunks.
    const BlockNumber pages = RelationGetNumberOfBlocks(heap);
    last_place = LastPlace{file_of_relation(heap), order_key, pages - page};
    if (!is_near_end(page, pages, kOpenPages)) {
        CommandCounterIncrement();
        simple_heap_delete(heap, &tuple->t_self);
        insert_chunk(slot, xid, 0, order_key, payload);
    }
    heap_freetuple(tuple);
    table_close(heap, NoLock);
}

}  // namespace paysync

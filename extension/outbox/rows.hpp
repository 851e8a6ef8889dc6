// Direct access to the outbox's tables, without the executor: the writer's role needs no right in them.
#pragma once

#include "outbox/catalog.hpp"

namespace paysync {

// Columns of a chunk table, from 1.
inline constexpr int kChunkXid = 1;
inline constexpr int kChunkOrderKey = 2;
inline constexpr int kChunkPart = 3;
inline constexpr int kChunkPayload = 4;

// The largest payload that fits into a page with the other columns (a heap page holds one tuple of MaxHeapTupleSize).
inline constexpr size_t kMaxPayload =
    MaxHeapTupleSize - MAXALIGN(SizeofHeapTupleHeader) - sizeof(uint64) - sizeof(uint64) - sizeof(int32) - VARHDRSZ;

// Adds one row to `table` and to its primary key's index, as the current (sub)transaction, by heap_insert and
// index_insert. The key columns are the first `keys` columns named in `key_columns`. The lock on the table is kept
// until the end of the transaction. `other_index`, if given, is one more index of the table, over column
// `other_column`, not unique.
void insert_row(const OutboxTable& table, const Datum* values, const bool* nulls, const int* key_columns, int keys,
                Oid other_index = InvalidOid, int other_column = 0);

// Adds a chunk of transaction `xid` to segment `slot`. `payload` is a bytea datum.
void insert_chunk(int slot, FullTransactionId xid, int32 part, XLogRecPtr order_key, Datum payload);

}  // namespace paysync

// Direct access to the outbox's tables, without the executor: the writer's role needs no right in them.
#pragma once

#include "outbox/catalog.hpp"

namespace paysync {

// Columns of a chunk table, from 1.
inline constexpr int kChunkXid = 1;
inline constexpr int kChunkOrderKey = 2;
inline constexpr int kChunkPart = 3;
inline constexpr int kChunkPayload = 4;

// Columns of a closing table, from 1.
inline constexpr int kClosingXid = 1;
inline constexpr int kClosingOrderKey = 2;
inline constexpr int kClosingPayload = 3;

// A closing record was at most so many pages before the end of its table when it had been written, or it is found by
// index: who looks for new ones need not look further back (docs/outbox.md §2).
inline constexpr BlockNumber kOpenPages = 64;

// The largest payload that fits into a page with the other columns (a heap page holds one tuple of MaxHeapTupleSize).
inline constexpr size_t kMaxPayload =
    MaxHeapTupleSize - MAXALIGN(SizeofHeapTupleHeader) - sizeof(uint64) - sizeof(uint64) - sizeof(int32) - VARHDRSZ;

// Adds one row to `table` and to all its indexes, as the current (sub)transaction, by heap_insert and index_insert. The
// lock on the table is kept until the end of the transaction.
void insert_row(Oid table, const Datum* values, const bool* nulls);

// Adds a chunk of transaction `xid` to segment `slot`; part 0 is a closing record. `payload` is a bytea datum.
void insert_chunk(int slot, FullTransactionId xid, int32 part, XLogRecPtr order_key, Datum payload);

// Adds the closing record of transaction `xid`, which ends, to segment `slot`.
void insert_closing(int slot, FullTransactionId xid, XLogRecPtr order_key, Datum payload);

}  // namespace paysync

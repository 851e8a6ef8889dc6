// Ticks as rows of the ring: writing one, finding the last one, finding the one that holds a number.
#pragma once

#include "drain/cut.hpp"
#include "drain/frontier.hpp"
#include "wire/digest.hpp"

namespace paysync {

// Columns of a tick table, from 1.
enum TickColumn {
    kTickLastNumber = 1,
    kTickFirstNumber,
    kTickEpoch,
    kTickExact,
    kTickSnapshot,
    kTickTakenAt,
    kTickChanges,
    kTickBytes,
    kTickDigest,
    kTickFirstKey,
    kTickLastKey,
    kTickXids,
    kTickSlots,
    kTickTotalBytes,  // this and what follows since 0.3
    kTickOldestAt,
    kTickPlaces,
    kTickFiles,  // this and the next three: the frontier
    kTickPages,
    kTickWaitingSlots,
    kTickWaiting,
    kTickColumns = kTickWaiting
};

// So many transactions are in one tick at most: their ids fit into its row.
inline constexpr int kTickTransactions = 512;

// A tick and its transactions, in the order of their numbers.
struct Tick {
    int64 first_number;
    int64 last_number;
    int64 epoch;
    bool exact;         // its end is a state that the source was in
    Datum snapshot;     // where exact
    Frontier frontier;  // likewise
    int64 changes;
    int64 bytes;
    int64 total_bytes;      // of all ticks up to this one
    TimestampTz oldest_at;  // since when the oldest of its transactions waited for it
    wire::Digest digest;
    XLogRecPtr first_key;
    XLogRecPtr last_key;
    int transactions;
    uint64 xids[kTickTransactions];
    int16 slots[kTickTransactions];
    ItemPointerData places[kTickTransactions];  // of the closing records; invalid where these are among the chunks
};

// Writes a tick into segment `slot`.
void insert_tick(const Tick& tick, int slot);

// Where the stream stands: the last number, the cut and the frontier that go with it, and the sums and the time of that
// tick.
struct StreamHead {
    int64 number;
    int64 total_bytes;
    TimestampTz taken_at;
    Cut cut;
    Frontier frontier;
};
// As committed now, memory in the current context. `at_least`: where it stood once, which makes finding it cheaper; a
// wrong one does no harm. Error 55000 if there is no tick at all.
StreamHead read_head(int64 at_least = PG_INT64_MIN);

// The exact tick that ends at `number`, as if it were the last. Error XX001 if there is none.
StreamHead read_exact(int64 number);

// Fills `tick` (without its snapshot, frontier, sums and keys) with the one that holds `number`; false if there is
// none, and then `tick.first_number` is the oldest number kept after it, or 0. Reads as of the active snapshot.
bool find_tick(int64 number, Tick& tick);

}  // namespace paysync

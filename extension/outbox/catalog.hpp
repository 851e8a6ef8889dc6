// The relations of schema `paysync`, found once a session and again after they were touched by DDL.
#pragma once

#include "postgres.hpp"

namespace paysync {

inline constexpr int kSlots = 8;  // as many as sql/ makes: chunk_0 … chunk_7

// A table and its primary key's index.
struct OutboxTable {
    Oid table;
    Oid index;
};

struct Catalog {
    OutboxTable chunk[kSlots];
    Oid closing[kSlots];  // closing records, which have no index; since 0.3; else invalid, they are chunks then
    OutboxTable tick[kSlots];
    OutboxTable shapes;
    Oid shapes_by_fingerprint;
    Oid shapes_sequence;
    Oid registration;
    Oid registration_index;
    Oid ring[kSlots];   // what is known of each segment
    Oid old_ring;       // one table for all, as up to 0.2; else invalid, as `ring` is there
    Oid capture_state;  // since 0.3; else invalid
    Oid reader;
    Oid subscriber;
};

// The catalog; looks it up where it is not known. Error 55000 if the extension is not complete.
const Catalog& catalog();

// What becomes of what is captured, where there are subscribers (paysync.capture_state).
enum class CaptureMode { kOn, kSuspended, kRefusing };

// What capture has to know of the outbox as it stands now.
struct OutboxState {
    int slot;              // where new transactions are written
    bool has_subscribers;  // false: nothing is kept
    CaptureMode mode;
    int reader_procno;  // the waiting reader's PGPROC, or -1
    int reader_pid;
};

// The state as far as invalidations have come to this session. `slot` may be out of date, which emptying a segment
// allows for (docs/outbox.md §5).
const OutboxState& outbox_state();

// Installs the invalidation callback; called once, when the library is loaded.
void watch_catalog();

}  // namespace paysync

// What the relay counts, from its start on. Written by the loop's thread alone, like the log one a process; the thread
// that serves HTTP reads copies (vitals.hpp).
#pragma once

#include <cstdint>

namespace paysync::relay {

struct Counters {
    uint64_t connections_refused = 0;  // by the handshake: no name of a subscriber, a password
    uint64_t hellos_refused = 0;       // answered with an ERROR
    uint64_t bad_frames = 0;
    uint64_t sessions_opened = 0;
    uint64_t sessions_ended = 0;
    uint64_t batches_sent = 0;       // messages with changes, the parts of streamed transactions too
    uint64_t bytes_sent = 0;         // what counts for credit: F1 of all sessions
    uint64_t transactions_sent = 0;  // each as often as it was sent
    uint64_t credit_stalls = 0;      // times that a session with something to take had no room for it
    uint64_t pages_read = 0;
    uint64_t bytes_read = 0;       // payload of the outbox
    uint64_t ticks = 0;            // that moved the head
    uint64_t leads = 0;            // times that the lease was taken
    uint64_t database_losses = 0;  // connections that were up and broke
    uint64_t lines_suppressed = 0;
    uint64_t reloads = 0;
    uint64_t reloads_failed = 0;
};

inline Counters counters;

}  // namespace paysync::relay

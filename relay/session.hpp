// One subscriber's session: who it is, how far it got, what it has room for.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "batch.hpp"
#include "clock.hpp"
#include "credit.hpp"
#include "large_transaction.hpp"
#include "metrics.hpp"
#include "router.hpp"
#include "stream_reader.hpp"

namespace paysync::relay {

// Sessions of one selection share packed batches.
struct SelectionClass {
    Selection selection;
    std::map<uint64_t, BatchPtr> batches;  // by prev; only what somebody at the head still needs
    size_t sessions_at_head = 0;           // as counted when batches were let go of last
    uint64_t slowest = 0;                  // number of the one of them that has had least
};
using SelectionClassPtr = std::shared_ptr<SelectionClass>;

struct Session {
    Session(std::string peer, uint64_t session_id, uint64_t window, Time now)
        : routing_id(std::move(peer)), id(session_id), credit(window), heard(now), pinged(now) {}

    const std::string routing_id;
    const uint64_t id;
    std::string subscriber;  // for an ephemeral one the name that the database gave
    bool ephemeral = false;
    uint64_t instance = 0;
    uint64_t version = wire::kLowestVersion;  // of the protocol
    uint64_t revision = 0;                    // of the subscriber, as the session knows it
    SelectionClassPtr shared;
    Credit credit;
    // What libzmq holds for it. Of what a peer has read that says the truth, where its credit may not.
    const Unsent unsent = std::make_shared<std::atomic<uint64_t>>(0);

    uint64_t number = 0;                    // everything up to it was sent
    uint64_t acked = 0;                     // everything up to it is durable at the subscriber
    BatchPtr pending;                       // packed, waiting for credit
    std::unordered_set<int64_t> announced;  // shapes sent

    // Null while it lives on the shared window; else it reads for itself.
    std::shared_ptr<StreamReader> reader;
    // On its way to it in parts. Meanwhile nothing else is sent, and nothing else is read for it.
    std::shared_ptr<LargeTransaction> large;

    Time heard;            // when the last frame came
    Time pinged;           // when the last PING went
    bool stalled = false;  // had something to take and no room for it when it was looked at last
    bool ended = false;
    std::string fault;  // why it ended, where that was not its own wish or an operator's

    [[nodiscard]] bool is_live() const { return reader == nullptr; }
    // Whether there is credit for `length` bytes that are there to be sent; counts each time that it runs out.
    [[nodiscard]] bool has_room(uint64_t length) {
        const bool room = credit.allows(length);
        if (!room && !stalled) counters.credit_stalls += 1;
        stalled = !room;
        return room;
    }
};

enum class Progress { kFine, kAckRange };

// Takes over what an ACK, PING, PONG or BYE says was applied. A number that goes back is ignored, one above what was
// sent is refused. `moved` says whether there is something new to record.
inline Progress acknowledge(Session& session, uint64_t number, bool& moved) {
    moved = false;
    if (number > session.number) return Progress::kAckRange;
    if (number > session.acked) {
        session.acked = number;
        moved = true;
    }
    return Progress::kFine;
}

}  // namespace paysync::relay

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
#include "stream_reader.hpp"

namespace paysync::relay {

// Sessions of one set of channels share packed batches.
struct ChannelClass {
    Channels channels;
    std::map<uint64_t, BatchPtr> batches;  // by prev; only what somebody at the head still needs
};
using ChannelClassPtr = std::shared_ptr<ChannelClass>;

struct Session {
    Session(std::string peer, uint64_t session_id, uint64_t window, Time now)
        : routing_id(std::move(peer)), id(session_id), credit(window), heard(now), pinged(now) {}

    const std::string routing_id;
    const uint64_t id;
    std::string subscriber;  // for an ephemeral one the name that the database gave
    bool ephemeral = false;
    uint64_t instance = 0;
    ChannelClassPtr channels;
    Credit credit;

    uint64_t number = 0;                    // everything up to it was sent
    uint64_t acked = 0;                     // everything up to it is durable at the subscriber
    BatchPtr pending;                       // packed, waiting for credit
    std::unordered_set<int64_t> announced;  // shapes sent

    // Null while it lives on the shared window; else it reads for itself.
    std::shared_ptr<StreamReader> reader;
    std::optional<Time> big_read_since;  // it holds the right to read a large transaction

    Time heard;   // when the last frame came
    Time pinged;  // when the last PING went
    bool ended = false;

    [[nodiscard]] bool is_live() const { return reader == nullptr; }
};

enum class Progress { kFine, kAckRange };

// Takes over what an ACK, PING or PONG says was applied. A number that goes back is ignored, one above what was sent is
// refused. `moved` says whether there is something new to record.
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

// Who gets what next: sessions at the head share one window and its packed batches; a session that fell behind reads
// for itself and comes back (docs/wire.md §8.1-8.3).
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "options.hpp"
#include "router.hpp"
#include "sessions.hpp"
#include "stream.hpp"
#include "stream_reader.hpp"

namespace paysync::relay {

class Delivery {
public:
    Delivery(const Options& options, const ReaderContext& context, Stream& stream, Sessions& sessions, Router& router);

    // Gives a new session its place, according to its number.
    void attach(Session& session);
    // The channels of a session; equal sets share one object.
    [[nodiscard]] ChannelClassPtr channel_class(std::vector<std::string> names);
    // Forgets everything read; sessions read again from what they were sent. After every taking of the lease: what was
    // read beyond the head may not be what it will be.
    void restart();

    // Sends what can be sent, a few messages a session. True if there may be more: receive, then call again.
    bool pump(Time now);
    // A session's queue was full: come back soon, no event tells when it has room.
    [[nodiscard]] bool is_blocked() const { return blocked_; }
    // The page of the outbox that is to be read next, window and lagging sessions in turn.
    [[nodiscard]] std::optional<Worker::Job> next_page(Time now);

private:
    [[nodiscard]] bool any_live() const;
    [[nodiscard]] uint64_t fastest_live() const;
    void detach(Session& session);
    void rejoin(Session& session);
    bool window_wants_page(Time now);
    bool session_wants_page(Session& session, Time now);
    [[nodiscard]] bool may_read_big(Session& session, Time now);
    bool advance(Session& session);
    bool send_shapes(Session& session);
    [[nodiscard]] BatchPtr next_batch(Session& session);
    [[nodiscard]] BatchPtr live_batch(Session& session, uint64_t last);
    bool took(Session& session, Sent sent);
    void forget_batches();

    const Options& options_;
    ReaderContext context_;
    Stream& stream_;
    Sessions& sessions_;
    Router& router_;
    std::shared_ptr<StreamReader> window_;
    std::map<Channels, std::weak_ptr<ChannelClass>> classes_;
    size_t cached_bytes_ = 0;
    uint64_t page_turn_ = 0;  // id of the session that read last
    bool window_turn_ = true;
    bool blocked_ = false;
};

}  // namespace paysync::relay

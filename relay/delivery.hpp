// Who gets what next: sessions at the head share one window and its packed batches; a session that fell behind reads
// for itself and comes back (docs/wire.md §9.1-9.3).
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
    // Each reads on a connection of its own, so that none holds up the others.
    struct Readers {
        ReaderContext head;    // for the window
        ReaderContext behind;  // for sessions that read for themselves
        ReaderContext sorted;  // for streamed transactions that must be put in order; connected when there is one
    };

    Delivery(const Options& options, const Readers& readers, Stream& stream, Sessions& sessions, Router& router);

    // Gives a new session its place, according to its number.
    void attach(Session& session);
    // What a session gets; equal selections share one object.
    [[nodiscard]] SelectionClassPtr selection_class(Selection selection);
    // Forgets everything read; sessions read again from what they were sent. After every taking of the lease: what was
    // read beyond the head may not be what it will be.
    void restart();

    // Sends what can be sent, a few messages a session. True if there may be more: receive, then call again.
    bool pump(Time now);
    // A session's queue was full: come back soon, no event tells when it has room.
    [[nodiscard]] bool is_blocked() const { return blocked_; }
    // Memory of the transactions that sessions at the head share.
    [[nodiscard]] size_t window_bytes() const { return window_->bytes(); }
    // The page of the outbox that is to be read next for the window.
    [[nodiscard]] std::optional<Worker::Job> next_page_at_head(Time now);
    // The page behind `head`, where the window ends there and has room; nothing of it is sent before the head has
    // moved.
    [[nodiscard]] std::optional<PageAhead> page_ahead(uint64_t head, Time now);
    // As next_page_at_head(), for the sessions that read for themselves, in turn.
    [[nodiscard]] std::optional<Worker::Job> next_page_behind(Time now) { return next_page(now, false); }
    // The same for those of them that take a transaction which must be put in order.
    [[nodiscard]] std::optional<Worker::Job> next_page_sorted(Time now) { return next_page(now, true); }

private:
    [[nodiscard]] bool any_live() const;
    [[nodiscard]] bool has_room_at_head() const;
    [[nodiscard]] uint64_t fastest_live() const;
    [[nodiscard]] uint64_t unsent_limit() const;
    void detach(Session& session);
    void rejoin(Session& session);
    [[nodiscard]] std::optional<Worker::Job> next_page(Time now, bool sorted);
    [[nodiscard]] std::optional<Worker::Job> page_of(Session& session, Time now);
    bool advance(Session& session);
    bool send_batch(Session& session);
    void refuse(Session& session, const Refusal& refusal);
    // Streamed transactions (delivery_streaming.cpp).
    void begin_large(Session& session, const TransactionPtr& transaction);
    bool advance_large(Session& session);
    bool send_begin(Session& session);
    bool send_part(Session& session);
    bool send_end(Session& session);
    [[nodiscard]] bool knows_foreign(Session& session);
    [[nodiscard]] std::vector<ShapePtr> shapes_of_large(const Session& session) const;
    // False where nothing more goes now; true where it sent, or where all are known (`all_known`).
    bool send_shapes(Session& session, const std::vector<ShapePtr>& needed, bool& all_known);
    [[nodiscard]] BatchPtr next_batch(Session& session);
    [[nodiscard]] BatchPtr live_batch(Session& session, uint64_t last);
    bool took(Session& session, Sent sent);
    void forget_batches();

    const Options& options_;
    Readers readers_;
    Stream& stream_;
    Sessions& sessions_;
    Router& router_;
    std::shared_ptr<StreamReader> window_;
    std::map<Selection, std::weak_ptr<SelectionClass>> classes_;
    // By number of a streamed transaction: shapes of other channels that alters in it come from, as they were found.
    std::map<uint64_t, std::vector<ForeignShape>> foreign_;
    size_t cached_bytes_ = 0;
    uint64_t page_turn_ = 0;     // id of the session that read last
    uint64_t sorted_turn_ = 0;   // the same of those that take what is put in order
    uint64_t unsent_limit_ = 0;  // of each session, in this turn
    bool blocked_ = false;
};

}  // namespace paysync::relay

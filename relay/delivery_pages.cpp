// Which page of the outbox is read next. Every reader has a bound in memory, and none can hold up another for long.
#include "delivery.hpp"
#include "log.hpp"

namespace paysync::relay {

namespace {

// A transaction of more than so many pages is read by one session at a time.
constexpr uint64_t kBigPages = 4;
constexpr seconds kBigReadLimit{10};

}  // namespace

std::optional<Worker::Job> Delivery::next_page(Time now) {
    // The window and those who lag take turns, so that however many lag, the head gets half.
    for (int attempt = 0; attempt < 2; ++attempt) {
        window_turn_ = !window_turn_;
        if (window_turn_) {
            if (window_wants_page(now)) return window_->page(stream_.head);
            continue;
        }
        auto& all = sessions_.all();
        auto at = all.upper_bound(page_turn_);
        for (size_t i = 0; i < all.size(); ++i, ++at) {
            if (at == all.end()) at = all.begin();
            Session& session = *at->second;
            if (!session_wants_page(session, now)) continue;
            page_turn_ = session.id;
            return session.reader->page(stream_.head);
        }
    }
    return std::nullopt;
}

// The window runs ahead of its fastest reader by half its size at most: for the slow alone it does not run away.
bool Delivery::window_wants_page(Time now) {
    window_->ready().shrink_to(options_.window_bytes);
    return window_->wants_page(stream_.head, now) && any_live() &&
           window_->ready().bytes_after(fastest_live()) <= options_.window_bytes / 2;
}

bool Delivery::session_wants_page(Session& session, Time now) {
    if (session.ended || session.is_live() || !session.reader->wants_page(stream_.head, now)) return false;
    session.reader->ready().drop_through(session.number);
    if (session.reader->ready().bytes() >= options_.page_bytes) return false;
    if (!session.credit.allows(1)) return false;
    if (session.reader->reading_bytes() <= kBigPages * options_.page_bytes) return true;
    return may_read_big(session, now);
}

// Large transactions are read by one lagging session at a time, and only with the credit to send them at once. Who does
// not take it for long gives its memory back, reads again later, and lets others go first.
bool Delivery::may_read_big(Session& session, Time now) {
    if (!session.credit.allows(session.reader->reading_bytes())) return false;
    if (session.big_read_since) return true;
    for (auto& [id, other] : sessions_.all()) {
        if (other->ended || !other->big_read_since || other->is_live()) continue;
        if (now - *other->big_read_since < kBigReadLimit) return false;
        log_warning("large_read_given_up", {{"subscriber", other->subscriber}, {"bytes", other->reader->bytes()}});
        other->big_read_since.reset();
        detach(*other);
    }
    session.big_read_since = now;
    return true;
}

}  // namespace paysync::relay

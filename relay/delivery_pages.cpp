// Which page of the outbox is read next. Every reader has a bound in memory. The head has a connection of its own, so
// however many are behind, they do not hold it up; and so has what the server must sort first.
#include "delivery.hpp"

namespace paysync::relay {

// The window runs ahead of its fastest reader by half its size at most: for the slow alone it does not run away.
bool Delivery::has_room_at_head() const {
    return any_live() && window_->ready().bytes_after(fastest_live()) <= options_.window_bytes / 2;
}

std::optional<Worker::Job> Delivery::next_page_at_head(Time now) {
    window_->ready().shrink_to(options_.window_bytes);
    if (!window_->wants_page(stream_.head, now) || !has_room_at_head()) return std::nullopt;
    return window_->page(stream_.head);
}

std::optional<PageAhead> Delivery::page_ahead(uint64_t head, Time now) {
    window_->ready().shrink_to(options_.window_bytes);
    if (!window_->stands_at(head, now) || !has_room_at_head()) return std::nullopt;
    return window_->page_ahead();
}

std::optional<Worker::Job> Delivery::next_page(Time now, bool sorted) {
    auto& all = sessions_.all();
    uint64_t& turn = sorted ? sorted_turn_ : page_turn_;
    auto at = all.upper_bound(turn);
    for (size_t i = 0; i < all.size(); ++i, ++at) {
        if (at == all.end()) at = all.begin();
        Session& session = *at->second;
        const bool is_sorted = session.large && session.large->transaction().streamed->reorder;
        if (is_sorted != sorted) continue;
        std::optional<Worker::Job> job = page_of(session, now);
        if (!job) continue;
        turn = at->first;
        return job;
    }
    return std::nullopt;
}

// A session holds a page that it has not taken yet, and what one transaction takes that is not streamed; nothing is
// read for one that has no credit.
std::optional<Worker::Job> Delivery::page_of(Session& session, Time now) {
    if (session.ended || session.is_live() || !session.credit.allows(1)) return std::nullopt;
    if (session.large) {
        if (!session.large->wants_page(now)) return std::nullopt;
        return session.large->page();
    }
    if (!session.reader->wants_page(stream_.head, now)) return std::nullopt;
    session.reader->ready().drop_through(session.number);
    if (session.reader->ready().bytes() >= options_.page_bytes) return std::nullopt;
    return session.reader->page(stream_.head);
}

}  // namespace paysync::relay

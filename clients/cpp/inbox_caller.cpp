// The caller's side of the inbox: taking, acknowledging, and what there is to know.
#include <algorithm>
#include <utility>

#include "inbox.hpp"

namespace paysync {

// What was handed over after it came again, in a session that began meanwhile, goes away here.
bool Inbox::drop_repeated_locked() {
    bool dropped = false;
    while (!waiting_.empty() && waiting_.front().raw.position.number <= handed_) {
        consumed_ += waiting_.front().credit;
        messages_ += waiting_.front().ends_message ? 1 : 0;
        waiting_.pop_front();
        dropped = true;
    }
    return dropped;
}

std::optional<Waiting> Inbox::take(std::chrono::milliseconds timeout) {
    std::optional<Waiting> taken;
    bool wake = false;
    {
        std::unique_lock lock(mutex_);
        const auto there = [&] {
            if (drop_repeated_locked() && wants_wake_locked()) wake_();
            return stopped_ || void_ || error_ || !waiting_.empty();
        };
        // A longer time would overflow the clock.
        if (!there() && timeout.count() > 0)
            changed_.wait_for(lock, std::min<std::chrono::milliseconds>(timeout, std::chrono::hours(24 * 365)), there);
        if (under_way_ && (void_ || stopped_)) {
            under_way_.reset();
            void_ = false;
            taken.emplace().kind = Waiting::Kind::kVoid;
            return taken;
        }
        if (stopped_) return std::nullopt;
        if (waiting_.empty()) {
            if (error_) std::rethrow_exception(error_);
            return std::nullopt;
        }
        Waiting& next = waiting_.front();
        if (next.kind == Waiting::Kind::kWhole || next.kind == Waiting::Kind::kEnd) return next;
        taken = std::move(next);
        waiting_.pop_front();
        under_way_ = taken->raw.position.number;
        consumed_ += taken->credit;
        messages_ += 1;
        wake = wants_wake_locked();
    }
    if (wake) wake_();
    return taken;
}

void Inbox::committing(const Waiting& waiting) {
    const std::lock_guard lock(mutex_);
    committing_ = waiting.raw.position;
    acknowledge_settled_ = false;
}

void Inbox::settle(const Waiting& waiting) {
    bool wake = false;
    {
        const std::lock_guard lock(mutex_);
        under_way_.reset();
        void_ = false;
        committing_.reset();
        const Position& position = waiting.raw.position;
        // The session may have been another's turn meanwhile; then the queue is not the one it was taken from.
        if (waiting.session == sessions_ && !waiting_.empty() &&
            waiting_.front().raw.position.number == position.number) {
            consumed_ += waiting.credit;
            messages_ += waiting.ends_message ? 1 : 0;
            waiting_.pop_front();
        }
        highest_handed_ = std::max(highest_handed_, position.number);
        // After a rewind it comes again, with those before it.
        if (waiting.pass != passes_) return;
        handed_ = std::max(handed_, position.number);
        if (spans_.empty() || spans_.back().epoch != position.epoch || spans_.back().nonce != position.nonce)
            spans_.push_back(Span{position.number, position.epoch, position.nonce});
        if (acknowledge_settled_ || ephemeral_) applied_locked(position);
        wake = (waiting.ends_message || acknowledge_settled_ || ephemeral_) && wants_wake_locked();
    }
    if (wake) wake_();
}

void Inbox::give_back(const Waiting& waiting) {
    {
        const std::lock_guard lock(mutex_);
        committing_.reset();
        if (waiting.kind == Waiting::Kind::kWhole) return;
        under_way_.reset();
        void_ = false;
        if (waiting.session != sessions_) return;
        waiting_.clear();
        given_back_ = restart_wanted_ = true;
    }
    wake_();
}

bool Inbox::take_restart() {
    const std::lock_guard lock(mutex_);
    return std::exchange(restart_wanted_, false);
}

void Inbox::applied_locked(const Position& position) {
    if (position.number <= applied_.number) return;
    applied_ = position;
    while (spans_.size() > 1 && spans_[1].first <= applied_.number) spans_.pop_front();
}

void Inbox::acknowledge(const Position& position) {
    bool wake = false;
    {
        const std::lock_guard lock(mutex_);
        if (committing_ == position) {
            acknowledge_settled_ = true;
            return;
        }
        if (position.number > highest_handed_) {
            throw Error("position " + position.text() + " was not received",
                        "The last one is number " + std::to_string(highest_handed_) + ".",
                        "Acknowledge the position of a received transaction.");
        }
        // After a rewind an acknowledgement of the earlier pass may come: it says nothing about the present one.
        if (position.number > handed_ || position.number <= applied_.number) return;
        check_repeated(position);
        applied_locked(position);
        wake = acknowledges_ && wants_wake_locked();
    }
    if (wake) wake_();
}

bool Inbox::caught_up() const {
    const std::lock_guard lock(mutex_);
    return session_ && waiting_.empty() && !under_way_ && !given_back_ && received_.number >= head_;
}

std::optional<Session> Inbox::session() const {
    const std::lock_guard lock(mutex_);
    return session_;
}

std::string Inbox::trouble() const {
    const std::lock_guard lock(mutex_);
    return trouble_;
}

void Inbox::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        changed_.notify_all();
    }
    wake_();
}

bool Inbox::ended() const {
    const std::lock_guard lock(mutex_);
    return stopped_ || error_ != nullptr;
}

}  // namespace paysync

// Hand-over and acknowledgement (docs/wire.md §8, rules 2 to 4).
#include "inbox.hpp"

#include <algorithm>

namespace paysync {

Inbox::Inbox(const Options& options, std::function<void()> wake)
    : ephemeral_(options.subscriber.empty()),
      own_position_(options.position.has_value()),
      acknowledges_(options.acknowledges || ephemeral_),
      window_(options.window),
      wake_(std::move(wake)) {
    if (options.position) {
        started_ = true;
        applied_ = start_ = received_ = *options.position;
        handed_ = highest_handed_ = queued_ = applied_.number;
    }
}

std::optional<Position> Inbox::begin_session() {
    const std::lock_guard lock(mutex_);
    // Numbers behind the last transaction that were covered without a change for us are applied too.
    const Position resume = nothing_open_locked() && received_.number > applied_.number ? received_ : applied_;
    session_.reset();
    waiting_.clear();
    // What waited is gone: should another HELLO follow before a WELCOME, it must not count as received.
    received_ = resume;
    queued_ = std::min(queued_, handed_);
    asked_.reset();
    if (started_ && (own_position_ || ephemeral_)) asked_ = resume;
    return asked_;
}

void Inbox::welcome(const Session& session, uint64_t head) {
    const std::lock_guard lock(mutex_);
    const uint64_t number = session.start.number;
    if (asked_ && number != asked_->number) {
        throw Error("the relay goes on after " + session.start.text() + ", but was asked for " + asked_->text(),
                    "A subscriber that keeps its own position would lose or repeat transactions.",
                    "Restart it from the position it has stored.");
    }
    // Less than the relay was ever told: an operator asked for a replay, or the relay lost the last acknowledgements.
    // Both want everything again. More: what was handed over is not handed over twice.
    const bool rewound = started_ && !asked_ && number < told_;
    if (!started_ || rewound || number > applied_.number) applied_ = session.start;
    if (!started_ || rewound || number > handed_) handed_ = number;
    if (rewound) spans_.clear();
    highest_handed_ = std::max(highest_handed_, handed_);
    started_ = true;
    session_ = session;
    start_ = received_ = session.start;
    queued_ = told_ = number;
    head_ = std::max(head, number);
    consumed_ = messages_ = 0;
    sent_ = Progress{};
    sent_.applied = number;
    trouble_.clear();
    changed_.notify_all();
}

void Inbox::end_session(const std::string& why) {
    const std::lock_guard lock(mutex_);
    session_.reset();
    trouble_ = why;
}

const Inbox::Span* Inbox::span_of(uint64_t number) const {
    const Span* found = nullptr;
    for (const Span& span : spans_) {
        if (span.first <= number) found = &span;
    }
    return found;
}

void Inbox::check_repeated(const Position& position) const {
    const Span* span = span_of(position.number);
    if (span == nullptr || (span->epoch == position.epoch && span->nonce == position.nonce)) return;
    throw Error("the relay sends transaction " + position.text() + ", but this subscriber has received " +
                    Position{span->epoch, span->nonce, position.number}.text() + " under that number",
                "The source lost transactions that it had already delivered.",
                "Find out what the source lost (a fail-over, a restored backup), then restart from a stored position.");
}

void Inbox::put(Batch batch, const std::shared_ptr<const Shapes>& shapes, const std::shared_ptr<const void>& storage,
                uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    // What was covered without a change for us stays applied when the next transaction opens.
    if (nothing_open_locked() && received_.number > applied_.number) applied_ = received_;
    bool added = false;
    for (RawTransaction& raw : batch.transactions) {
        const uint64_t number = raw.position.number;
        queued_ = number;
        if (number <= handed_) {
            check_repeated(raw.position);
            continue;
        }
        waiting_.push_back(Waiting{std::move(raw), shapes, storage});
        added = true;
    }
    received_ = batch.last;
    head_ = std::max(head_, received_.number);
    if (added) {
        waiting_.back().credit = bytes;
        waiting_.back().ends_message = true;
        changed_.notify_all();
    } else {
        consumed_ += bytes;
        messages_ += 1;
    }
}

void Inbox::consume(uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    consumed_ += bytes;
    messages_ += 1;
}

void Inbox::set_head(uint64_t head) {
    const std::lock_guard lock(mutex_);
    head_ = std::max(head_, head);
}

uint64_t Inbox::received() const {
    const std::lock_guard lock(mutex_);
    return received_.number;
}

// Whether every transaction that came is acknowledged.
bool Inbox::nothing_open_locked() const { return applied_.number >= std::max(queued_, handed_); }

Progress Inbox::progress_locked() const {
    Progress progress;
    if (!acknowledges_) {
        progress.applied = start_.number;
    } else {
        progress.applied = nothing_open_locked() ? received_.number : std::min(applied_.number, received_.number);
    }
    progress.consumed = consumed_;
    progress.messages = messages_;
    progress.idle = waiting_.empty() && (!acknowledges_ || progress.applied == received_.number);
    return progress;
}

Progress Inbox::progress() const {
    const std::lock_guard lock(mutex_);
    return progress_locked();
}

void Inbox::acknowledged(const Progress& sent) {
    const std::lock_guard lock(mutex_);
    sent_ = sent;
    told_ = std::max(told_, sent.applied);
    woken_for_change_ = woken_for_due_ = false;
}

// The other thread has its own timer for what is not due at once: it is woken for the first change after an ACK, and
// for the one that makes an ACK due. More would cost a system call a transaction.
bool Inbox::wants_wake_locked() {
    if (!session_) return false;
    const Progress now = progress_locked();
    const bool due = now.idle || now.messages - sent_.messages >= 64 || now.consumed - sent_.consumed >= window_ / 2;
    const bool wake = !woken_for_change_ || (due && !woken_for_due_);
    woken_for_change_ = true;
    woken_for_due_ = woken_for_due_ || due;
    return wake;
}

void Inbox::fail(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    session_.reset();
    changed_.notify_all();
}

void Inbox::fail_now(std::exception_ptr error) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.clear();
    }
    fail(std::move(error));
    wake_();
}

std::optional<Waiting> Inbox::take(std::chrono::milliseconds timeout) {
    std::optional<Waiting> taken;
    bool wake = false;
    {
        std::unique_lock lock(mutex_);
        // A longer time would overflow the clock.
        changed_.wait_for(lock, std::min<std::chrono::milliseconds>(timeout, std::chrono::hours(24 * 365)),
                          [this] { return stopped_ || error_ || !waiting_.empty(); });
        if (stopped_) return std::nullopt;
        if (waiting_.empty()) {
            if (error_) std::rethrow_exception(error_);
            return std::nullopt;
        }
        taken = std::move(waiting_.front());
        waiting_.pop_front();
        const Position& position = taken->raw.position;
        handed_ = position.number;
        highest_handed_ = std::max(highest_handed_, handed_);
        if (spans_.empty() || spans_.back().epoch != position.epoch || spans_.back().nonce != position.nonce)
            spans_.push_back(Span{handed_, position.epoch, position.nonce});
        if (ephemeral_) applied_ = position;
        consumed_ += taken->credit;
        messages_ += taken->ends_message ? 1 : 0;
        wake = (taken->ends_message || ephemeral_) && wants_wake_locked();
    }
    if (wake) wake_();
    return taken;
}

void Inbox::acknowledge(const Position& position) {
    bool wake = false;
    {
        const std::lock_guard lock(mutex_);
        if (position.number > highest_handed_) {
            throw Error("position " + position.text() + " was not received",
                        "The last one is number " + std::to_string(highest_handed_) + ".",
                        "Acknowledge the position of a received transaction.");
        }
        // After a rewind an acknowledgement of the earlier pass may come: it says nothing about the present one.
        if (position.number > handed_ || position.number <= applied_.number) return;
        check_repeated(position);
        applied_ = position;
        while (spans_.size() > 1 && spans_[1].first <= applied_.number) spans_.pop_front();
        wake = acknowledges_ && wants_wake_locked();
    }
    if (wake) wake_();
}

bool Inbox::caught_up() const {
    const std::lock_guard lock(mutex_);
    return session_ && waiting_.empty() && received_.number >= head_;
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

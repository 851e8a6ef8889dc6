// The connection's side of the inbox (docs/wire.md §9, rules 2 to 4).
#include "inbox.hpp"

#include <algorithm>

namespace paysync {

Inbox::Inbox(const Options& options, std::function<void()> wake)
    : ephemeral_(options.subscriber.empty()),
      own_position_(options.position.has_value()),
      acknowledges_(options.acknowledges || ephemeral_),
      obeys_rewinds_(options.obeys_rewinds),
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
    coming_.reset();
    void_ = under_way_.has_value();
    given_back_ = restart_wanted_ = false;
    sessions_ += 1;
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
    const bool replayed = session.rewound && session.rewound->number == number && (!asked_ || obeys_rewinds_);
    if (asked_ && number != asked_->number && !replayed) {
        throw Error("the relay goes on after " + session.start.text() + ", but was asked for " + asked_->text(),
                    "A subscriber that keeps its own position would lose or repeat transactions.",
                    "Restart it from the position it has stored.");
    }
    // An operator asked for a replay: everything comes again. The relay repeats that until something after it is
    // acknowledged, which is no other replay. One of version 1 just goes on below what it was told. Else what was
    // handed over is not handed over twice, although the relay may have lost acknowledgements.
    const bool unsaid = !asked_ && session.version < wire::kStreamingVersion;
    const bool rewound =
        started_ && ((replayed && rewound_ != session.rewound) || ((replayed || unsaid) && number < told_));
    if (replayed) rewound_ = session.rewound;
    if (!started_ || rewound || number > applied_.number) applied_ = session.start;
    if (!started_ || rewound || number > handed_) handed_ = number;
    if (rewound) {
        spans_.clear();
        passes_ += 1;
    }
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
    void_streamed_locked();
    changed_.notify_all();
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

void Inbox::open_locked() {
    if (nothing_open_locked() && received_.number > applied_.number) applied_ = received_;
}

void Inbox::push_locked(Waiting waiting, uint64_t bytes, bool ends_message) {
    waiting.session = sessions_;
    waiting.pass = passes_;
    waiting.credit = bytes;
    waiting.ends_message = ends_message;
    if (!given_back_) waiting_.push_back(std::move(waiting));
    changed_.notify_all();
}

void Inbox::put(Batch batch, const std::shared_ptr<const Shapes>& shapes, const std::shared_ptr<const void>& storage,
                uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    open_locked();
    std::optional<Waiting> last;
    for (RawTransaction& raw : batch.transactions) {
        const uint64_t number = raw.position.number;
        queued_ = number;
        if (number <= handed_) {
            check_repeated(raw.position);
            continue;
        }
        if (last) push_locked(std::move(*last), 0, false);
        last = Waiting{Waiting::Kind::kWhole, std::move(raw), {}, shapes, storage};
    }
    received_ = batch.last;
    head_ = std::max(head_, received_.number);
    if (last) {
        push_locked(std::move(*last), bytes, true);
    } else {
        consumed_ += bytes;
        messages_ += 1;
    }
}

void Inbox::put_begin(const RawTransaction& raw, const std::shared_ptr<const Shapes>& shapes,
                      const std::shared_ptr<const void>& storage, uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    open_locked();
    coming_ = raw.position;
    queued_ = raw.position.number;
    head_ = std::max(head_, queued_);
    if (queued_ <= handed_) check_repeated(raw.position);
    push_locked(Waiting{Waiting::Kind::kBegin, raw, {}, shapes, storage}, bytes, true);
}

void Inbox::put_part(const StreamedPart& part, const std::shared_ptr<const Shapes>& shapes,
                     const std::shared_ptr<const void>& storage, uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    Waiting waiting{Waiting::Kind::kPart, {}, part, shapes, storage};
    waiting.raw.position = *coming_;
    push_locked(std::move(waiting), bytes, true);
}

void Inbox::put_end() {
    const std::lock_guard lock(mutex_);
    Waiting waiting{Waiting::Kind::kEnd, {}, {}, nullptr, nullptr};
    waiting.raw.position = *coming_;
    received_ = *coming_;
    coming_.reset();
    push_locked(std::move(waiting), 0, true);
}

// What came of a transaction whose end did not: nobody can do anything with it.
void Inbox::void_streamed_locked() {
    if (!coming_) return;
    while (!waiting_.empty() && waiting_.back().raw.position.number == coming_->number) waiting_.pop_back();
    void_ = void_ || under_way_ == coming_->number;
    coming_.reset();
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
    progress.idle = waiting_.empty() && !coming_ && (!acknowledges_ || progress.applied == received_.number);
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
    void_streamed_locked();
    changed_.notify_all();
}

void Inbox::fail_now(std::exception_ptr error) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.clear();
        void_ = under_way_.has_value();
        given_back_ = true;
    }
    fail(std::move(error));
    wake_();
}

}  // namespace paysync

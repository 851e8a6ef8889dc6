// Between the thread that talks to the relay and the thread that applies: the transactions that wait, and how far the
// caller has come. Everything here is guarded by one mutex; neither side ever waits for the network in it.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>

#include "streamed.hpp"

namespace paysync {

// What waits for the caller: a whole transaction, verified, or a piece of one that comes in parts.
struct Waiting {
    enum class Kind : uint8_t {
        kWhole,
        kBegin,  // parts follow
        kPart,
        kEnd,   // it came whole, and is what was announced
        kVoid,  // what was taken since kBegin does not count
    };
    Kind kind = Kind::kWhole;
    RawTransaction raw;                    // kPart, kEnd, kVoid: its position only
    StreamedPart part;                     // kPart
    std::shared_ptr<const Shapes> shapes;  // all but kEnd, kVoid
    std::shared_ptr<const void> storage;   // owns the bytes
    uint64_t credit = 0;                   // bytes the relay may send again once it is handed over
    bool ends_message = false;
    uint64_t session = 0;  // which of this process's sessions it came in
    uint64_t pass = 0;     // how often the source had rewound us
};

// What the next ACK says.
struct Progress {
    uint64_t applied = 0;   // as far as the caller has come, numbers without a change for it included
    uint64_t consumed = 0;  // bytes of this session that wait no more
    uint64_t messages = 0;  // of this session that wait no more
    bool idle = false;      // nothing waits and, where the caller acknowledges, nothing is unacknowledged
};

class Inbox {
public:
    // `wake` is called, without the lock, when an ACK may be due; it must not throw.
    Inbox(const Options& options, std::function<void()> wake);

    // The connection's side.

    // Forgets what waits: a new session sends it again. Returns the position to say HELLO with, if it is ours to keep.
    [[nodiscard]] std::optional<Position> begin_session();
    // The session goes on after `session.start`. Throws Error if that is not what was asked for.
    void welcome(const Session& session, uint64_t head);
    // The session is over; `why` is for people.
    void end_session(const std::string& why);
    // Takes a batch of `bytes` bytes that follows received(). Throws Error if it contradicts what was handed over
    // before.
    void put(Batch batch, const std::shared_ptr<const Shapes>& shapes, const std::shared_ptr<const void>& storage,
             uint64_t bytes);
    // The same of a transaction in parts: its beginning, which follows received(), its parts, its end.
    void put_begin(const RawTransaction& raw, const std::shared_ptr<const Shapes>& shapes,
                   const std::shared_ptr<const void>& storage, uint64_t bytes);
    void put_part(const StreamedPart& part, const std::shared_ptr<const Shapes>& shapes,
                  const std::shared_ptr<const void>& storage, uint64_t bytes);
    void put_end();
    // A message without transactions was read.
    void consume(uint64_t bytes);
    void set_head(uint64_t head);
    [[nodiscard]] uint64_t received() const;
    [[nodiscard]] Progress progress() const;
    // An ACK went out with this progress.
    void acknowledged(const Progress& sent);
    // receive() throws `error` as soon as nothing waits any more. Only the first error counts.
    void fail(std::exception_ptr error);
    // The same at once: what waits is behind something that cannot be handed over.
    void fail_now(std::exception_ptr error);

    // True once after give_back(): the connection has to say HELLO again.
    [[nodiscard]] bool take_restart();

    // The caller's side; see Subscriber.

    // What comes next, or nothing if it does not come in time. A kBegin or kPart is off the queue; a kWhole or kEnd
    // stays at its front until settle().
    [[nodiscard]] std::optional<Waiting> take(std::chrono::milliseconds timeout);
    // From here on to settle() or give_back() its position may be acknowledged, which counts with settle().
    void committing(const Waiting& waiting);
    // A kWhole or kEnd is handed over.
    void settle(const Waiting& waiting);
    // What was taken could not be handed over: its transaction comes again, from its beginning.
    void give_back(const Waiting& waiting);
    void acknowledge(const Position& position);
    [[nodiscard]] bool caught_up() const;
    [[nodiscard]] std::optional<Session> session() const;
    [[nodiscard]] std::string trouble() const;
    void stop();
    // Stopped or failed.
    [[nodiscard]] bool ended() const;

private:
    // From `first` on, numbers were handed over in this history.
    struct Span {
        uint64_t first;
        uint64_t epoch;
        std::string nonce;
    };

    [[nodiscard]] bool nothing_open_locked() const;
    // A batch or a transaction in parts begins: numbers before it that were covered without a change stay applied.
    void open_locked();
    void push_locked(Waiting waiting, uint64_t bytes, bool ends_message);
    void void_streamed_locked();
    [[nodiscard]] bool drop_repeated_locked();
    void applied_locked(const Position& position);
    [[nodiscard]] Progress progress_locked() const;
    [[nodiscard]] bool wants_wake_locked();
    [[nodiscard]] const Span* span_of(uint64_t number) const;
    void check_repeated(const Position& position) const;

    const bool ephemeral_;
    const bool own_position_;
    const bool acknowledges_;
    const bool obeys_rewinds_;
    const uint64_t window_;
    const std::function<void()> wake_;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Waiting> waiting_;
    uint64_t sessions_ = 0;               // begun so far
    uint64_t passes_ = 0;                 // times the source rewound us
    std::optional<Position> coming_;      // the transaction whose parts come in
    std::optional<uint64_t> under_way_;   // the caller has taken its kBegin, and neither its kEnd nor kVoid
    bool void_ = false;                   // ... and nothing follows any more
    bool given_back_ = false;             // nothing more of this session is of use
    bool restart_wanted_ = false;         // ... and the connection does not know yet
    std::optional<Position> committing_;  // the caller is at it
    bool acknowledge_settled_ = false;    // ... and has acknowledged it
    std::exception_ptr error_;
    bool stopped_ = false;
    std::optional<Session> session_;
    std::string trouble_;

    std::optional<Position> asked_;    // what the last HELLO brought
    bool started_ = false;             // a WELCOME or an option has said where we are
    Position start_;                   // of this session
    Position received_;                // last number covered by what came in this session, to its end
    std::optional<Position> rewound_;  // the replay that was obeyed last
    Position applied_;                 // last acknowledged by the caller
    uint64_t queued_ = 0;              // last transaction of this session
    uint64_t handed_ = 0;              // last transaction handed over; less only after the source rewound us
    uint64_t highest_handed_ = 0;
    std::deque<Span> spans_;
    uint64_t head_ = 0;

    uint64_t consumed_ = 0;
    uint64_t messages_ = 0;
    Progress sent_;
    uint64_t told_ = 0;  // the highest number the relay can know to be applied
    bool woken_for_change_ = false;
    bool woken_for_due_ = false;
};

}  // namespace paysync

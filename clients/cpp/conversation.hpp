// The subscriber's half of the protocol (docs/wire.md §5-§10), without sockets or clocks of its own: frames and times
// go in, frames come out, and what the connection should do next. Used by one thread.
#pragma once

#include <chrono>
#include <functional>

#include "inbox.hpp"
#include "wire/frame.hpp"

namespace paysync {

using Clock = std::chrono::steady_clock;

// What is to be done with the connection.
struct Step {
    enum class Kind : uint8_t { kKeep, kReconnect, kPause };
    Kind kind = Kind::kKeep;
    std::chrono::milliseconds pause{0};  // kPause: come back after so long, instead of after the usual backoff
    std::string why;
};

class Conversation {
public:
    // Sends one message; false if the socket cannot take it now. F1 is left out where `body` is empty.
    using Send = std::function<bool(const wire::Frame& frame, wire::Bytes body)>;

    // `nonce`: 64 random bits, one per process.
    Conversation(const Options& options, Inbox& inbox, uint64_t nonce, Send send);

    // There is a new socket, not connected yet.
    void opened(Clock::time_point now);
    // The socket can take a message: says HELLO if that was not said yet.
    void writable(Clock::time_point now);
    [[nodiscard]] bool wants_to_write() const { return state_ == State::kConnecting; }

    // A message of `frames` frames came; `storage` owns the bytes of `body`. Throws Refused or Error where the
    // subscription must stop.
    [[nodiscard]] Step receive(wire::Bytes head, wire::Bytes body, size_t frames,
                               const std::shared_ptr<const void>& storage, Clock::time_point now);

    // Whatever the time asks for: ACK, PING, giving up. `drained`: nothing more stands in the socket.
    [[nodiscard]] Step tick(Clock::time_point now, bool drained);
    // When tick() has something to do at the latest.
    [[nodiscard]] Clock::time_point deadline() const;

    // The socket is closed.
    void closed(const std::string& why);

    // The last ACK and a PING: when its PONG is there, the relay has taken the ACK.
    void begin_farewell();
    [[nodiscard]] bool farewell_heard() const { return state_ != State::kStreaming || pong_heard_; }
    void say_bye();

    // True once after a session made progress: the next failure is a new one.
    [[nodiscard]] bool take_progress();

private:
    enum class State : uint8_t { kClosed, kConnecting, kGreeting, kStreaming };

    void say_hello(Clock::time_point now);
    Step welcome(const wire::Frame& frame, wire::Bytes body);
    Step refused(const wire::Frame& frame, wire::Bytes body, Clock::time_point now);
    Step streaming(const wire::Frame& frame, wire::Bytes body, const std::shared_ptr<const void>& storage,
                   Clock::time_point now);
    Step batch(const wire::Frame& frame, wire::Bytes body, const std::shared_ptr<const void>& storage,
               Clock::time_point now);
    Step begin(const wire::Frame& frame, wire::Bytes body, const std::shared_ptr<const void>& storage,
               Clock::time_point now);
    Step part(const wire::Frame& frame, wire::Bytes body, const std::shared_ptr<const void>& storage,
              Clock::time_point now);
    Step end(const wire::Frame& frame, Clock::time_point now);
    Step lost(const std::string& why, Clock::time_point now);
    void count(wire::Bytes body);
    void send_ack(Clock::time_point now);
    [[nodiscard]] bool send_report(wire::Kind kind);

    const Options& options_;
    Inbox& inbox_;
    const uint64_t nonce_;
    const Send send_;

    State state_ = State::kClosed;
    std::optional<Uuid> stream_id_;
    uint64_t session_ = 0;
    uint64_t version_ = 0;  // of the session
    std::shared_ptr<const Shapes> shapes_;
    std::unique_ptr<StreamedCheck> streamed_;  // the transaction whose parts come in
    uint64_t bytes_ = 0;                       // F1 bytes of SHAPES, BATCH, BEGIN and PART in this session
    uint64_t granted_ = 0;                     // the credit limit last told
    Progress acked_;                           // as in the last ACK
    bool ack_waits_ = false;
    bool progressed_ = false;
    int losses_ = 0;  // since the last batch
    bool pong_heard_ = false;

    Clock::time_point opened_at_;
    Clock::time_point heard_at_;
    Clock::time_point pinged_at_;
    Clock::time_point acked_at_;
};

}  // namespace paysync

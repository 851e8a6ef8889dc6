// The subscriber's half of the protocol: greeting, time, good-bye. What comes in a session is in streaming.cpp.
#include "conversation.hpp"

#include <algorithm>

#include <msgpack/pack.hpp>

#include "wire/messages.hpp"

namespace paysync {

using wire::Bytes;
using wire::Frame;
using wire::Kind;

namespace {

// The least a msgpack packer needs.
struct StringSink {
    std::string text;
    void write(const char* data, size_t size) { text.append(data, size); }
};

}  // namespace

Conversation::Conversation(const Options& options, Inbox& inbox, uint64_t nonce, Send send)
    : options_(options), inbox_(inbox), nonce_(nonce), send_(std::move(send)), stream_id_(options.stream_id) {}

void Conversation::opened(Clock::time_point now) {
    state_ = State::kConnecting;
    opened_at_ = heard_at_ = now;
    losses_ = 0;
}

void Conversation::writable(Clock::time_point now) {
    if (state_ == State::kConnecting) say_hello(now);
}

void Conversation::say_hello(Clock::time_point now) {
    const std::optional<Position> position = inbox_.begin_session();
    const std::string text = position ? position->text() : std::string();
    wire::Hello hello;
    hello.lowest_version = wire::kLowestVersion;
    hello.highest_version = wire::kHighestVersion;
    hello.obeys_rewinds = options_.obeys_rewinds;
    if (position && stream_id_) hello.stream_id = Bytes(reinterpret_cast<const char*>(stream_id_->bytes.data()), 16);
    hello.position = text;
    hello.window = options_.window;
    hello.software = options_.software;
    StringSink sink;
    msgpack::packer<StringSink> packer(sink);
    wire::write_hello(packer, hello);
    state_ = State::kConnecting;
    session_ = 0;
    streamed_.reset();
    if (!send_(Frame{Kind::kHello, 0, 0, nonce_}, sink.text)) return;
    state_ = State::kGreeting;
    opened_at_ = now;
}

void Conversation::closed(const std::string& why) {
    state_ = State::kClosed;
    session_ = 0;
    streamed_.reset();
    inbox_.end_session(why);
}

bool Conversation::send_report(Kind kind) {
    return send_(Frame{kind, session_, inbox_.progress().applied, bytes_}, {});
}

void Conversation::send_ack(Clock::time_point now) {
    const Progress progress = inbox_.progress();
    const uint64_t limit = progress.consumed + options_.window;
    acked_at_ = now;
    ack_waits_ = !send_(Frame{Kind::kAck, session_, progress.applied, limit}, {});
    if (ack_waits_) return;
    granted_ = limit;
    acked_ = progress;
    inbox_.acknowledged(progress);
}

Step Conversation::tick(Clock::time_point now, bool drained) {
    if (state_ == State::kClosed) return {};
    if (state_ != State::kStreaming) {
        if (now - opened_at_ < options_.timing.welcome) return {};
        return {
            Step::Kind::kReconnect, {}, state_ == State::kGreeting ? "the relay does not answer" : "no relay answers"};
    }
    if (inbox_.take_restart()) return lost("the application gave a transaction back", now);
    if (now - heard_at_ >= options_.timing.dead) return {Step::Kind::kReconnect, {}, "the relay fell silent"};
    if (now - heard_at_ >= options_.timing.ping && now - pinged_at_ >= options_.timing.ping) {
        pinged_at_ = now;
        // One that cannot be sent says as much as one that is not answered.
        (void)send_report(Kind::kPing);
    }
    const Progress progress = inbox_.progress();
    ack_waits_ = progress.applied != acked_.applied || progress.consumed != acked_.consumed;
    if (!ack_waits_) return {};
    const bool due = now - acked_at_ >= options_.timing.acknowledge || progress.messages - acked_.messages >= 64 ||
                     progress.consumed - acked_.consumed >= options_.window / 2 || (progress.idle && drained);
    if (due) send_ack(now);
    return {};
}

Clock::time_point Conversation::deadline() const {
    switch (state_) {
        case State::kClosed:
            return Clock::time_point::max();
        case State::kConnecting:
        case State::kGreeting:
            return opened_at_ + options_.timing.welcome;
        case State::kStreaming:
            break;
    }
    Clock::time_point next = std::max(heard_at_, pinged_at_) + options_.timing.ping;
    next = std::min(next, heard_at_ + options_.timing.dead);
    return ack_waits_ ? std::min(next, acked_at_ + options_.timing.acknowledge) : next;
}

void Conversation::begin_farewell() {
    pong_heard_ = false;
    if (state_ != State::kStreaming) return;
    send_ack(Clock::now());
    if (!send_report(Kind::kPing)) pong_heard_ = true;
}

void Conversation::say_bye() {
    if (state_ != State::kStreaming) return;
    // Without it the relay finds out by itself, ten seconds later.
    (void)send_(Frame{Kind::kBye, session_, inbox_.progress().applied, 0}, {});
}

bool Conversation::take_progress() {
    const bool progressed = progressed_;
    progressed_ = false;
    return progressed;
}

}  // namespace paysync

// The subscriber's half of the protocol: what the relay's messages do.
#include <algorithm>

#include "conversation.hpp"
#include "wire/messages.hpp"
#include "wire/position.hpp"

namespace paysync {

using wire::Bytes;
using wire::Frame;
using wire::Kind;

namespace {

[[noreturn]] void break_of_protocol(const std::string& what) {
    throw Error("the relay broke the protocol: " + what, {}, "Check that relay and client are of the same release.");
}

// For BYE, whose reason nobody needs to understand.
std::string reason_of(Bytes body) {
    wire::ErrorText text;
    return wire::read_error(body, text) ? std::string(text.message) : std::string();
}

std::chrono::milliseconds pause_of(uint64_t milliseconds) {
    return std::chrono::milliseconds(std::min<uint64_t>(milliseconds, 60000));
}

// WELCOME's map as the caller sees it. False if something is missing or malformed.
bool read_session(const wire::Welcome& welcome, Session& session) {
    session.version = welcome.version;
    std::copy(welcome.stream_id.begin(), welcome.stream_id.end(), session.stream_id.bytes.begin());
    session.subscriber = welcome.subscriber;
    wire::Reader reader(welcome.channels);
    uint32_t count = 0;
    if (!reader.read_array(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
        Bytes channel;
        if (!reader.read_str(channel)) return false;
        session.channels.emplace_back(channel);
    }
    const std::optional<Position> start = Position::parse(welcome.start);
    if (!start) return false;
    session.start = *start;
    if (!welcome.rewound.empty()) session.rewound = Position::parse(welcome.rewound);
    if (welcome.skipped.empty()) return true;
    wire::Reader skipped(welcome.skipped);
    if (!skipped.read_array(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
        uint64_t number = 0;
        if (!skipped.read_uint(number)) return false;
        session.skipped.push_back(number);
    }
    return true;
}

}  // namespace

Step Conversation::receive(Bytes head, Bytes body, size_t frames, const std::shared_ptr<const void>& storage,
                           Clock::time_point now) {
    Frame frame;
    if (!wire::decode_frame(head, frame)) break_of_protocol("a message has no head of layout 1");
    if (!wire::is_known(frame.kind)) {
        if (!wire::is_optional(frame.kind))
            break_of_protocol("unknown kind of message " + std::to_string(static_cast<unsigned>(frame.kind)));
        heard_at_ = now;
        return {};
    }
    if (!wire::frames_fit(frame.kind, frames)) break_of_protocol("a message has " + std::to_string(frames) + " frames");
    heard_at_ = now;
    switch (frame.kind) {
        case Kind::kWelcome:
            return state_ == State::kGreeting ? welcome(frame, body) : Step{};
        case Kind::kError:
            return refused(frame, body, now);
        case Kind::kBatch:
        case Kind::kShapes:
        case Kind::kBegin:
        case Kind::kPart:
        case Kind::kEnd:
        case Kind::kPing:
        case Kind::kPong:
        case Kind::kBye:
            // Frames of a session that is over are still on their way after a new HELLO.
            if (state_ != State::kStreaming || frame.session != session_) return {};
            return streaming(frame, body, storage, now);
        default:
            break_of_protocol("it sent what only a subscriber sends");
    }
}

Step Conversation::welcome(const Frame& frame, Bytes body) {
    wire::Welcome welcome;
    Session session;
    if (frame.session == 0 || !wire::read_welcome(body, welcome) || !read_session(welcome, session) ||
        session.start.number != frame.a)
        break_of_protocol("malformed welcome");
    if (welcome.version < wire::kLowestVersion || welcome.version > wire::kHighestVersion)
        break_of_protocol("version " + std::to_string(welcome.version) + " was not asked for");
    if (stream_id_ && *stream_id_ != session.stream_id) {
        throw Error("the relay serves stream " + session.stream_id.text() + ", not " + stream_id_->text(),
                    "It reads another database than before.", "Check the relay's address and its database.");
    }
    inbox_.welcome(session, frame.b);
    stream_id_ = session.stream_id;
    session_ = frame.session;
    version_ = welcome.version;
    streamed_.reset();
    shapes_ = std::make_shared<const Shapes>();
    bytes_ = 0;
    granted_ = options_.window;
    acked_ = inbox_.progress();
    ack_waits_ = false;
    acked_at_ = pinged_at_ = Clock::time_point{};
    state_ = State::kStreaming;
    return {};
}

Step Conversation::refused(const Frame& frame, Bytes body, Clock::time_point now) {
    if (frame.session != 0 && frame.session != session_) return {};
    wire::ErrorText text;
    if (!wire::read_error(body, text)) text = wire::ErrorText{};
    std::string message(text.message);
    if (message.empty()) message = "the relay refused with code " + std::to_string(frame.a);
    if (frame.a == static_cast<uint64_t>(wire::Error::kStaleSession))
        return state_ == State::kStreaming ? lost(message, now) : Step{};
    if (wire::is_transient(frame.a)) return {Step::Kind::kReconnect, {}, message};
    throw Refused(frame.a, frame.b, message, std::string(text.detail), std::string(text.hint));
}

Step Conversation::streaming(const Frame& frame, Bytes body, const std::shared_ptr<const void>& storage,
                             Clock::time_point now) {
    const bool in_parts = frame.kind == Kind::kBegin || frame.kind == Kind::kPart || frame.kind == Kind::kEnd;
    if (in_parts && version_ < wire::kStreamingVersion)
        break_of_protocol("it sent a transaction in parts in a session of version " + std::to_string(version_));
    switch (frame.kind) {
        case Kind::kPing:
        case Kind::kPong:
            if (frame.b != bytes_) return lost("messages of the relay were lost", now);
            inbox_.set_head(frame.a);
            if (frame.kind == Kind::kPong) pong_heard_ = true;
            // One that cannot be sent is asked for again.
            if (frame.kind == Kind::kPing) (void)send_report(Kind::kPong);
            return {};
        case Kind::kBye: {
            const std::string reason = reason_of(body);
            // One that drains waits a moment for what is acknowledged still.
            send_ack(now);
            say_bye();
            state_ = State::kClosed;
            return {Step::Kind::kPause, pause_of(frame.b), reason.empty() ? "the relay said good-bye" : reason};
        }
        case Kind::kBegin:
            return begin(frame, body, storage, now);
        case Kind::kPart:
            return part(frame, body, storage, now);
        case Kind::kEnd:
            return end(frame, now);
        case Kind::kShapes: {
            if (frame.a != bytes_ + body.size()) return lost("messages of the relay were lost", now);
            if (streamed_) break_of_protocol("shapes inside of a transaction");
            count(body);
            auto known = std::make_shared<Shapes>(*shapes_);
            parse_shapes(body, *known);
            shapes_ = std::move(known);
            inbox_.consume(body.size());
            return {};
        }
        default:
            return batch(frame, body, storage, now);
    }
}

Step Conversation::batch(const Frame& frame, Bytes body, const std::shared_ptr<const void>& storage,
                         Clock::time_point now) {
    if (frame.a != bytes_ + body.size()) return lost("messages of the relay were lost", now);
    if (streamed_) break_of_protocol("a batch inside of a transaction");
    Batch batch = parse_batch(body);
    if (batch.last.number != frame.b) break_of_protocol("head and body of a batch end at different numbers");
    if (batch.previous != inbox_.received()) return lost("messages of the relay were lost", now);
    count(body);
    for (const RawTransaction& raw : batch.transactions) verify(raw, *shapes_);
    inbox_.put(std::move(batch), shapes_, storage, body.size());
    losses_ = 0;
    progressed_ = true;
    return {};
}

Step Conversation::begin(const Frame& frame, Bytes body, const std::shared_ptr<const void>& storage,
                         Clock::time_point now) {
    if (frame.a != bytes_ + body.size()) return lost("messages of the relay were lost", now);
    if (streamed_) break_of_protocol("a transaction begins inside of another");
    uint64_t previous = 0;
    RawTransaction raw = parse_begin(body, previous);
    if (raw.position.number != frame.b) break_of_protocol("head and body of a beginning have different numbers");
    if (previous != inbox_.received()) return lost("messages of the relay were lost", now);
    count(body);
    streamed_ = std::make_unique<StreamedCheck>(std::move(raw), storage);
    inbox_.put_begin(streamed_->raw(), shapes_, storage, body.size());
    return {};
}

Step Conversation::part(const Frame& frame, Bytes body, const std::shared_ptr<const void>& storage,
                        Clock::time_point now) {
    if (frame.a != bytes_ + body.size()) return lost("messages of the relay were lost", now);
    if (!streamed_) break_of_protocol("a part outside of a transaction");
    wire::Part part;
    if (!wire::read_part(body, part)) malformed("part of a transaction");
    if (frame.b != streamed_->raw().position.number) break_of_protocol("a part of another transaction");
    if (part.index != streamed_->index()) return lost("messages of the relay were lost", now);
    count(body);
    const StreamedPart taken = streamed_->add(part, *shapes_);
    inbox_.put_part(taken, shapes_, storage, body.size());
    return {};
}

// Only now the session made progress: a relay that fails inside of a transaction, time after time, gets time.
Step Conversation::end(const Frame& frame, Clock::time_point now) {
    if (frame.a != bytes_) return lost("messages of the relay were lost", now);
    if (!streamed_) break_of_protocol("the end of a transaction that has not begun");
    if (frame.b != streamed_->raw().position.number) break_of_protocol("the end of another transaction");
    streamed_->finish();
    streamed_.reset();
    inbox_.put_end();
    losses_ = 0;
    progressed_ = true;
    return {};
}

// A relay that sends without credit would fill this process's memory.
void Conversation::count(Bytes body) {
    const bool alone = bytes_ <= granted_ - options_.window;
    if (!alone && bytes_ + body.size() > granted_) break_of_protocol("it sent more than it was granted");
    bytes_ += body.size();
}

// The first loss is mended on the spot; a relay that loses again and again gets a new connection, and time.
Step Conversation::lost(const std::string& why, Clock::time_point now) {
    losses_ += 1;
    if (losses_ > 1) return {Step::Kind::kReconnect, {}, why};
    inbox_.end_session(why);
    say_hello(now);
    return {};
}

}  // namespace paysync

// Dispatches frames by kind (docs/wire.md §6, §9).
#include "protocol.hpp"

#include "log.hpp"
#include "metrics.hpp"
#include "wire/messages.hpp"

namespace paysync::relay {

namespace {

// Why a message is no message of ours, or null.
const char* fault_of(const Incoming& message, wire::Frame& frame) {
    if (message.frames == 0 || message.frames > 2) return "a message has one or two frames";
    if (!wire::decode_frame(message.head, frame)) return "the first frame is no head of this version";
    if (message.body.size() > wire::kMaxControlBytes) return "the second frame is too long";
    switch (frame.kind) {
        case wire::Kind::kHello:
            return message.frames == 2 && frame.session == 0 ? nullptr : "a HELLO has a body and no session";
        case wire::Kind::kAck:
        case wire::Kind::kPing:
        case wire::Kind::kPong:
            return message.frames == 1 ? nullptr : "this kind has no body";
        case wire::Kind::kBye:
            return nullptr;
        default:
            return (static_cast<uint8_t>(frame.kind) & wire::kOptionalKind) != 0 ? nullptr
                                                                                 : "a subscriber sends no such kind";
    }
}

// The magic is right and the version is not: another program of ours, not garbage.
bool is_other_version(const std::string& head) {
    return head.size() >= 3 && head[0] == 'P' && head[1] == 'S' && static_cast<uint8_t>(head[2]) != wire::kLayout;
}

Refusal no_common_version() {
    return {wire::Error::kBadVersion, wire::kHighestVersion, "no common protocol version",
            "This relay speaks versions " + std::to_string(wire::kLowestVersion) + " to " +
                std::to_string(wire::kHighestVersion) + ".",
            "Upgrade the older side."};
}

}  // namespace

Offenders::Entry& Offenders::entry(const std::string& routing_id) {
    if (const auto found = entries_.find(routing_id); found != entries_.end()) return found->second;
    if (entries_.size() >= kMost) {
        entries_.erase(ages_.front());
        ages_.pop_front();
    }
    Entry& added = entries_[routing_id];
    added.age = ages_.insert(ages_.end(), routing_id);
    return added;
}

int Offenders::count(const std::string& routing_id) { return entry(routing_id).bad += 1; }

bool Offenders::is_ignored(const std::string& routing_id) const {
    const auto found = entries_.find(routing_id);
    return found != entries_.end() && found->second.bad >= kMostBadFrames;
}

bool Offenders::may_answer(const std::string& routing_id, Time now) {
    Entry& known = entry(routing_id);
    if (known.answered != Time{} && now - known.answered < seconds(1)) return false;
    known.answered = now;
    return true;
}

void Protocol::receive(const Incoming& message, Time now) {
    if (offenders_.is_ignored(message.routing_id)) return;
    wire::Frame frame;
    if (const char* const fault = fault_of(message, frame)) {
        if (is_other_version(message.head) && offenders_.count(message.routing_id) < Offenders::kMostBadFrames) {
            router_.send_error(message.routing_id, 0, no_common_version());
            return;
        }
        bad_frame(message, fault);
        return;
    }
    Session* const session = sessions_.by_peer(message.routing_id);
    if (session != nullptr) session->heard = now;
    if (frame.kind == wire::Kind::kHello) {
        hello(message, frame, now);
    } else if ((static_cast<uint8_t>(frame.kind) & wire::kOptionalKind) != 0 && frame.kind != wire::Kind::kHello) {
        return;
    } else if (session != nullptr && session->id == frame.session) {
        of_session(*session, message, frame);
    } else if (session == nullptr && !admission_.knows(message.routing_id) && frame.kind != wire::Kind::kBye &&
               offenders_.may_answer(message.routing_id, now)) {
        // From before a restart of the relay, or after this side gave up: without an answer it would wait for ever.
        router_.send_error(
            message.routing_id, frame.session,
            {wire::Error::kStaleSession, 0, "the relay does not know this session", "", "Say HELLO again."});
    } else if (frame.kind == wire::Kind::kBye && session == nullptr) {
        admission_.withdraw(message.routing_id);
    }
}

void Protocol::hello(const Incoming& message, const wire::Frame& frame, Time now) {
    wire::Hello hello;
    if (!wire::read_hello(message.body, hello)) {
        bad_frame(message, "the body of a HELLO cannot be read");
        return;
    }
    const uint64_t version = std::min(hello.highest_version, wire::kHighestVersion);
    if (version < std::max(hello.lowest_version, wire::kLowestVersion)) {
        router_.send_error(message.routing_id, 0, no_common_version());
        return;
    }
    if (hello.window < wire::kMinWindow || hello.window > wire::kMaxWindow) {
        bad_frame(message, "the window of a HELLO is out of range");
        return;
    }
    if (message.user_id.empty()) {
        router_.send_error(message.routing_id, 0,
                           {wire::Error::kUnknownSubscriber, 0, "the connection has no identity", "",
                            "Connect with the PLAIN mechanism and the subscriber's name as user name."});
        return;
    }
    static constexpr size_t kMostSoftware = 64;
    admission_.apply(Application{message.routing_id, message.user_id, frame.b, std::string(hello.stream_id),
                                 std::string(hello.position), hello.window,
                                 std::string(hello.software.substr(0, kMostSoftware)), version, hello.obeys_rewinds},
                     now);
}

void Protocol::of_session(Session& session, const Incoming& message, const wire::Frame& frame) {
    bool moved = false;
    if (acknowledge(session, frame.a, moved) == Progress::kAckRange) {
        router_.send_error(
            message.routing_id, session.id,
            {wire::Error::kAckRange, session.number, "number " + std::to_string(frame.a) + " was not sent",
             "The last one that was is " + std::to_string(session.number) + ".", ""});
        sessions_.fail(session, "acknowledged what was not sent",
                       "302 number " + std::to_string(frame.a) + " was acknowledged and not sent");
        return;
    }
    if (moved) acknowledger_.note(session);
    switch (frame.kind) {
        case wire::Kind::kAck:
            session.credit.grant(frame.b);
            break;
        case wire::Kind::kPing:
            router_.send(message.routing_id, {wire::Kind::kPong, session.id, stream_.head, session.credit.sent()});
            break;
        case wire::Kind::kBye:
            sessions_.end(session, "said goodbye");
            break;
        default:
            break;
    }
}

void Protocol::ping(Session& session) {
    session.pinged = Clock::now();
    const wire::Frame frame{wire::Kind::kPing, session.id, stream_.head, session.credit.sent()};
    // A process that was killed has closed its connection: nobody need wait for its silence.
    if (router_.send(session.routing_id, frame) == Sent::kGone) sessions_.end(session, "connection closed");
}

void Protocol::bad_frame(const Incoming& message, const char* what) {
    const int count = offenders_.count(message.routing_id);
    counters.bad_frames += 1;
    log_warning("bad_frame", {{"user", message.user_id}, {"reason", what}, {"count", count}});
    Session* const session = sessions_.by_peer(message.routing_id);
    router_.send_error(message.routing_id, session != nullptr ? session->id : 0,
                       {wire::Error::kBadFrame, 0, what, "", "This is a bug of the subscriber's software."});
    if (count < Offenders::kMostBadFrames) return;
    admission_.withdraw(message.routing_id);
    if (session != nullptr) sessions_.fail(*session, "sent too many bad frames", std::string("101 ") + what);
}

}  // namespace paysync::relay

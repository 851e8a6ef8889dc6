// Socket options that were learnt the hard way, and sends that cannot block.
#include "router.hpp"

#include <cstring>
#include <memory>
#include <utility>

#include "failure.hpp"
#include "packing.hpp"
#include "wire/messages.hpp"

namespace paysync::relay {

namespace {

// Above this a frame ends its connection before it is read: what comes from subscribers is small.
constexpr int64_t kMaxFrameBytes = 64 * 1024;
// More than credit lets through, so the queues never fill.
constexpr int kQueueMessages = 4096;
// ZMQ_ZAP_ENFORCE_DOMAIN, which the header shows only to drafts: without it a missing handler lets everybody in.
constexpr int kZapEnforceDomain = 93;

void set_options(zmq::socket_t& socket) {
    namespace opt = zmq::sockopt;
    // A peer that cannot take a message is an error, never a silent drop.
    socket.set(opt::router_mandatory, 1);
    socket.set(opt::router_handover, 0);
    socket.set(opt::maxmsgsize, kMaxFrameBytes);
    socket.set(opt::sndhwm, kQueueMessages);
    socket.set(opt::rcvhwm, kQueueMessages);
    socket.set(opt::handshake_ivl, 3000);
    // Only to find half-open connections; whether a subscriber is alive is asked by PING.
    socket.set(opt::heartbeat_ivl, 5000);
    socket.set(opt::heartbeat_timeout, 15000);
    socket.set(opt::heartbeat_ttl, 20000);
    socket.set(opt::backlog, 1024);
    socket.set(opt::linger, 0);
    socket.set(opt::plain_server, 1);
    socket.set(opt::zap_domain, "paysync");
    const int enforce = 1;
    if (zmq_setsockopt(socket.handle(), kZapEnforceDomain, &enforce, sizeof enforce) != 0 && zmq_errno() != EINVAL) {
        throw zmq::error_t();
    }
}

std::string text_of(const zmq::message_t& message) { return {message.data<char>(), message.size()}; }

Sent outcome_of_error() {
    switch (zmq_errno()) {
        case EAGAIN:
            return Sent::kFull;
        case EHOSTUNREACH:
            return Sent::kGone;
        default:
            throw zmq::error_t();
    }
}

struct Counted {
    zmq::message_t body;
    Unsent unsent;
};

void leave(void* /*bytes*/, void* hint) {
    const std::unique_ptr<Counted> counted(static_cast<Counted*>(hint));
    *counted->unsent -= counted->body.size();
}

// The same bytes; libzmq calls leave() when it lets go of them, on a thread of its own.
zmq::message_t count(zmq::message_t& body, const Unsent& unsent) {
    auto counted = std::make_unique<Counted>();
    counted->body.copy(body);
    counted->unsent = unsent;
    zmq::message_t message(counted->body.data(), counted->body.size(), leave, counted.get());
    *unsent += counted.release()->body.size();
    return message;
}

bool send_part(zmq::socket_t& socket, zmq::message_t& part, int flags) {
    int sent = -1;
    do {
        sent = zmq_msg_send(part.handle(), socket.handle(), flags | ZMQ_DONTWAIT);
    } while (sent < 0 && zmq_errno() == EINTR);
    return sent >= 0;
}

}  // namespace

Router::Router(zmq::context_t& context, const std::string& endpoint) : socket_(context, zmq::socket_type::router) {
    set_options(socket_);
    try {
        socket_.bind(endpoint);
    } catch (const zmq::error_t& error) {
        throw Failure(kExitFailed, "cannot bind to \"" + endpoint + "\": " + error.what(), {},
                      "Choose an endpoint that nobody else listens on with --bind.");
    }
    endpoint_ = socket_.get(zmq::sockopt::last_endpoint);
}

bool Router::receive(Incoming& message) {
    zmq::message_t part;
    if (!socket_.recv(part, zmq::recv_flags::dontwait)) return false;
    message = Incoming{};
    message.routing_id = text_of(part);
    while (part.more()) {
        // The parts of a message come together: the rest is there.
        if (!socket_.recv(part, zmq::recv_flags::dontwait)) break;
        message.frames += 1;
        if (message.frames == 1) {
            // The frame of the routing id carries no properties, this one does.
            const char* const user = zmq_msg_gets(part.handle(), "User-Id");
            if (user != nullptr) message.user_id = user;
            message.head = text_of(part);
        } else if (message.frames == 2) {
            message.body = text_of(part);
        }
    }
    return true;
}

// Room is looked for at the first part only; once it is in, the others follow it.
Sent Router::send_parts(const std::string& routing_id, const wire::Frame& frame, zmq::message_t* body,
                        const Unsent* unsent) {
    zmq::message_t peer(routing_id.data(), routing_id.size());
    if (!send_part(socket_, peer, ZMQ_SNDMORE)) return outcome_of_error();
    zmq::message_t head(wire::kFrameBytes);
    wire::encode_frame(frame, head.data<char>());
    if (!send_part(socket_, head, body != nullptr ? ZMQ_SNDMORE : 0)) return outcome_of_error();
    if (body == nullptr) return Sent::kQueued;
    zmq::message_t shared;
    if (unsent != nullptr) {
        shared = count(*body, *unsent);
    } else {
        shared.copy(*body);
    }
    return send_part(socket_, shared, 0) ? Sent::kQueued : outcome_of_error();
}

Sent Router::send(const std::string& routing_id, const wire::Frame& frame) {
    return send_parts(routing_id, frame, nullptr, nullptr);
}

Sent Router::send(const std::string& routing_id, const wire::Frame& frame, zmq::message_t& body) {
    return send_parts(routing_id, frame, &body, nullptr);
}

Sent Router::send(const std::string& routing_id, const wire::Frame& frame, zmq::message_t& body, const Unsent& unsent) {
    return send_parts(routing_id, frame, &body, &unsent);
}

Sent Router::send_error(const std::string& routing_id, uint64_t session, const Refusal& refusal) {
    std::string text;
    StringSink sink{text};
    Packer packer(sink);
    wire::write_error(packer, wire::ErrorText{refusal.message, refusal.detail, refusal.hint});
    zmq::message_t body(text.data(), text.size());
    return send(routing_id, {wire::Kind::kError, session, static_cast<uint64_t>(refusal.code), refusal.number}, body);
}

Sent Router::send_bye(const std::string& routing_id, uint64_t session, uint64_t retry_ms, const std::string& reason) {
    std::string text;
    StringSink sink{text};
    Packer packer(sink);
    packer.pack_map(1);
    packer.pack_int(1);
    pack_str(packer, reason);
    zmq::message_t body(text.data(), text.size());
    return send(routing_id, {wire::Kind::kBye, session, 0, retry_ms}, body);
}

void Router::close(int linger_ms) {
    socket_.set(zmq::sockopt::linger, linger_ms);
    socket_.close();
}

}  // namespace paysync::relay

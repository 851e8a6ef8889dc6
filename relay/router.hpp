// The ROUTER socket: every send either goes into a queue with room or says why not; nothing ever waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <zmq.hpp>

#include "transaction.hpp"
#include "wire/frame.hpp"

namespace paysync::relay {

enum class Sent { kQueued, kFull, kGone };

// Bytes of bodies that were sent to one peer and have not left for its connection yet. libzmq's threads count them
// down.
using Unsent = std::shared_ptr<std::atomic<uint64_t>>;

// A message from the network, not yet looked at.
struct Incoming {
    std::string routing_id;
    std::string user_id;  // whom the connection's handshake authenticated; empty: nobody
    std::string head;     // F0
    std::string body;     // F1
    size_t frames = 0;    // behind the routing id
};

class Router {
public:
    // Binds at once. Throws Failure where the endpoint is taken. The ZAP handler must be bound before.
    Router(zmq::context_t& context, const std::string& endpoint);

    // The endpoint as bound, with its real port.
    [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
    [[nodiscard]] void* handle() { return socket_.handle(); }

    // False where nothing has come.
    [[nodiscard]] bool receive(Incoming& message);

    Sent send(const std::string& routing_id, const wire::Frame& frame);
    // The body is shared, not copied: `body` keeps its own reference. It counts in `unsent` until it has left.
    Sent send(const std::string& routing_id, const wire::Frame& frame, zmq::message_t& body, const Unsent& unsent);
    Sent send(const std::string& routing_id, const wire::Frame& frame, zmq::message_t& body);
    Sent send_error(const std::string& routing_id, uint64_t session, const Refusal& refusal);
    Sent send_bye(const std::string& routing_id, uint64_t session, uint64_t retry_ms, const std::string& reason);

    // Closes the socket; what is queued has `linger_ms` to leave.
    void close(int linger_ms);

private:
    Sent send_parts(const std::string& routing_id, const wire::Frame& frame, zmq::message_t* body,
                    const Unsent* unsent);

    zmq::socket_t socket_;
    std::string endpoint_;
};

}  // namespace paysync::relay

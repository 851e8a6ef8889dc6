// Who connects: answers libzmq's authentication requests (ZAP, RFC 27) in the relay's own loop.
#pragma once

#include <string>
#include <string_view>
#include <zmq.hpp>

namespace paysync::relay {

// Whether `name` may be a subscriber's: 1 to 63 of a-z 0-9 _ - . with a letter, digit or _ first; or the one that asks
// for an ephemeral subscription.
[[nodiscard]] bool is_subscriber_name(std::string_view name);
[[nodiscard]] bool is_ephemeral_name(std::string_view name);

class Identity {
public:
    // Must be bound before the ROUTER: libzmq lets everybody in where it finds no handler.
    explicit Identity(zmq::context_t& context);

    [[nodiscard]] void* handle() { return socket_.handle(); }
    // Answers whatever has come.
    void answer_all();
    void close() { socket_.close(); }

private:
    zmq::socket_t socket_;
};

}  // namespace paysync::relay

// One DEALER socket to one relay, with the events of its connection and a way to be woken. Used by one thread, but
// wake().
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <zmq.hpp>

#include "wire/frame.hpp"

namespace paysync {

// One context a process, for as long as somebody uses it: the end of one of two contexts breaks the other's security
// mechanisms in libzmq 4.3.4.
[[nodiscard]] std::shared_ptr<zmq::context_t> shared_context();

// Lets another thread interrupt a wait.
class Waker {
public:
    Waker();
    ~Waker();
    Waker(const Waker&) = delete;
    Waker& operator=(const Waker&) = delete;
    // May be called from any thread.
    void wake() const noexcept;
    // Forgets earlier calls.
    void clear() const noexcept;
    [[nodiscard]] int descriptor() const { return descriptor_; }

private:
    int descriptor_;
};

// What became of the connection below the socket.
struct Trouble {
    std::string why;
    bool denied = false;  // the relay's authentication said no
};

class Connection {
public:
    // Starts to connect. `user` is the subscriber's name or "*". Throws zmq::error_t if the endpoint is none.
    Connection(const std::shared_ptr<zmq::context_t>& context, const std::string& endpoint, const std::string& user);
    // Messages that were sent still go out, for at most half a second, in the background; none if the relay has not let
    // us in or the connection was lost.
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // False if the socket cannot take a message now; so until the relay has let us in, and after trouble.
    [[nodiscard]] bool send(const wire::Frame& frame, wire::Bytes body);

    // Waits for a message, for trouble, for `waker` or, if asked for, until the socket can take a message. After
    // trouble the connection does not come back; what it brought can still be received.
    struct Ready {
        bool writable = false;
        std::optional<Trouble> trouble;
    };
    [[nodiscard]] Ready wait(std::chrono::milliseconds timeout, bool for_writing, const Waker& waker);

    // The next message without waiting; false if there is none. A message of three or more frames has `frames` = 3.
    struct Message {
        zmq::message_t head;
        zmq::message_t body;
        size_t frames = 0;
    };
    [[nodiscard]] bool receive(Message& message);

private:
    [[nodiscard]] std::optional<Trouble> read_events();
    void set_open(bool open);

    std::shared_ptr<zmq::context_t> context_;
    zmq::socket_t socket_;
    zmq::socket_t events_;
    bool open_ = false;  // from the end of the handshake until the first trouble
};

}  // namespace paysync

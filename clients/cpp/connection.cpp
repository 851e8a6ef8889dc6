// The DEALER socket's options and events.
#include "connection.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <system_error>

namespace paysync {

namespace {

constexpr int kLingerMilliseconds = 500;
constexpr int64_t kMaxMessageBytes = int64_t{80} * 1024 * 1024;
// No connection comes after the first: a socket whose connection was lost is closed long before.
constexpr int kNeverAgainMilliseconds = 3'600'000;
constexpr int kEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
                        ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

// A name in the process for the socket's events.
std::string next_events_endpoint() {
    static std::atomic<uint64_t> number{0};
    return "inproc://paysync-events-" + std::to_string(number.fetch_add(1));
}

std::optional<Trouble> trouble_of(uint16_t event, uint32_t value) {
    switch (event) {
        case ZMQ_EVENT_DISCONNECTED:
            return Trouble{"the connection was lost"};
        case ZMQ_EVENT_CLOSED:
        case ZMQ_EVENT_CONNECT_RETRIED:
            return Trouble{"cannot connect"};
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
            // 400 is a verdict; 300 and 500 are the handler's own trouble.
            return Trouble{"the relay's authentication answered " + std::to_string(value), value == 400};
        case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
            return Trouble{"the handshake failed: no relay, or one with another security mechanism"};
        default:
            return std::nullopt;
    }
}

}  // namespace

std::shared_ptr<zmq::context_t> shared_context() {
    static std::mutex mutex;
    static std::weak_ptr<zmq::context_t> context;
    const std::lock_guard lock(mutex);
    std::shared_ptr<zmq::context_t> shared = context.lock();
    if (!shared) {
        shared = std::make_shared<zmq::context_t>(1);
        context = shared;
    }
    return shared;
}

Waker::Waker() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "cannot create an event descriptor");
}

Waker::~Waker() { close(descriptor_); }

void Waker::wake() const noexcept {
    const uint64_t one = 1;
    // It fails only where the counter is full, and then the reader wakes anyway.
    [[maybe_unused]] const ssize_t written = write(descriptor_, &one, sizeof one);
}

void Waker::clear() const noexcept {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(descriptor_, &count, sizeof count);
}

Connection::Connection(const std::shared_ptr<zmq::context_t>& context, const std::string& endpoint,
                       const std::string& user)
    : context_(context), socket_(*context, zmq::socket_type::dealer), events_(*context, zmq::socket_type::pair) {
    // The user name alone selects PLAIN; libzmq takes no empty password, but that is what it sends by default.
    socket_.set(zmq::sockopt::plain_username, user);
    // Not IMMEDIATE, nor without reconnecting: both have libzmq take the pipe of a lost connection away from the
    // socket, what came by it with it, and if it is between two frames of a message then, it ends the process (fq.cpp).
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::rcvhwm, 4096);
    socket_.set(zmq::sockopt::maxmsgsize, kMaxMessageBytes);
    socket_.set(zmq::sockopt::reconnect_ivl, kNeverAgainMilliseconds);
    socket_.set(zmq::sockopt::handshake_ivl, 3000);
    const std::string events = next_events_endpoint();
    if (zmq_socket_monitor(socket_.handle(), events.c_str(), kEvents) != 0) throw zmq::error_t();
    events_.set(zmq::sockopt::linger, 0);
    events_.connect(events);
    socket_.connect(endpoint);
}

Connection::~Connection() { zmq_socket_monitor(socket_.handle(), nullptr, 0); }

bool Connection::send(const wire::Frame& frame, wire::Bytes body) {
    if (!open_) return false;
    zmq::message_t head(wire::kFrameBytes);
    wire::encode_frame(frame, static_cast<char*>(head.data()));
    const auto flags = zmq::send_flags::dontwait;
    if (body.empty()) return socket_.send(head, flags).has_value();
    if (!socket_.send(head, flags | zmq::send_flags::sndmore)) return false;
    zmq::message_t rest(body.data(), body.size());
    return socket_.send(rest, flags).has_value();
}

bool Connection::receive(Message& message) {
    message = Message{};
    if (!socket_.recv(message.head, zmq::recv_flags::dontwait)) return false;
    message.frames = 1;
    bool more = message.head.more();
    while (more) {
        zmq::message_t next;
        if (!socket_.recv(next, zmq::recv_flags::dontwait)) break;
        more = next.more();
        message.frames = message.frames == 1 ? 2 : 3;
        if (message.frames == 2) message.body = std::move(next);
    }
    return true;
}

std::optional<Trouble> Connection::read_events() {
    std::optional<Trouble> first;
    zmq::message_t event;
    while (events_.recv(event, zmq::recv_flags::dontwait)) {
        uint16_t kind = 0;
        uint32_t value = 0;
        if (event.size() >= sizeof kind + sizeof value) {
            std::memcpy(&kind, event.data(), sizeof kind);
            std::memcpy(&value, static_cast<const char*>(event.data()) + sizeof kind, sizeof value);
        }
        zmq::message_t address;
        if (event.more()) (void)events_.recv(address, zmq::recv_flags::dontwait);
        if (kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) set_open(true);
        std::optional<Trouble> trouble = trouble_of(kind, value);
        // A refusal is followed by a disconnect, which says less.
        if (trouble && (!first || trouble->denied)) first = std::move(trouble);
    }
    if (first) set_open(false);
    return first;
}

void Connection::set_open(bool open) {
    open_ = open;
    // While it is not, nobody is there who would take what was sent.
    socket_.set(zmq::sockopt::linger, open ? kLingerMilliseconds : 0);
}

Connection::Ready Connection::wait(std::chrono::milliseconds timeout, bool for_writing, const Waker& waker) {
    const short wanted = static_cast<short>(ZMQ_POLLIN | (for_writing && open_ ? ZMQ_POLLOUT : 0));
    zmq::pollitem_t items[] = {{socket_.handle(), 0, wanted, 0},
                               {events_.handle(), 0, ZMQ_POLLIN, 0},
                               {nullptr, waker.descriptor(), ZMQ_POLLIN, 0}};
    if (zmq_poll(items, 3, timeout.count()) < 0 && errno != EINTR) throw zmq::error_t();
    if ((items[2].revents & ZMQ_POLLIN) != 0) waker.clear();
    Ready ready;
    ready.writable = (items[0].revents & ZMQ_POLLOUT) != 0;
    if ((items[1].revents & ZMQ_POLLIN) != 0) ready.trouble = read_events();
    return ready;
}

}  // namespace paysync

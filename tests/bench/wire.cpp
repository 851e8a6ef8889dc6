// How fast batches leave: the relay's own packing and sending, from a window in memory, beside a plain ROUTER.
//
// Usage: wire plain|copied|relay BATCH_BYTES SECONDS TRANSACTION_BYTES. Forks a DEALER that takes messages over
// loopback and grants credit as a subscriber does (4 MiB, at half of it or 64 messages). `plain` sends one body again
// and again by reference, `copied` into a fresh message each time, `relay` what pack_batch() makes of one-change
// transactions. All three send bodies of the same size. The taker prints "took MESSAGES BYTES NANOSECONDS".
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <zmq.hpp>

#include "monotonic.hpp"
#include "relay/batch.hpp"
#include "relay/credit.hpp"
#include "relay/identity.hpp"
#include "relay/packing.hpp"
#include "relay/router.hpp"
#include "relay/window.hpp"
#include "wire/frame.hpp"

namespace {

using namespace paysync;

constexpr uint64_t kWindow = wire::kDefaultWindow;
constexpr uint64_t kMessagesAnAck = 64;
constexpr size_t kWindowBytes = 16 << 20;
constexpr int kQueueMessages = 4096;

// Takes until a message without a body comes.
void take(const std::string& endpoint, bool is_plain) {
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    if (!is_plain) socket.set(zmq::sockopt::plain_username, "wire");
    socket.set(zmq::sockopt::rcvhwm, kQueueMessages);
    socket.connect(endpoint);
    const auto tell = [&socket](wire::Kind kind, uint64_t limit) {
        zmq::message_t frame(wire::kFrameBytes);
        wire::encode_frame({kind, 1, 0, limit}, frame.data<char>());
        socket.send(frame, zmq::send_flags::none);
    };
    tell(wire::Kind::kAck, kWindow);
    uint64_t bytes = 0, messages = 0, granted_bytes = 0, granted_messages = 0;
    int64_t began = 0;
    zmq::message_t head, body;
    for (;;) {
        (void)socket.recv(head);
        if (!head.more()) break;
        (void)socket.recv(body);
        if (messages == 0) began = bench::monotonic();
        bytes += body.size();
        messages += 1;
        if (bytes - granted_bytes >= kWindow / 2 || messages - granted_messages >= kMessagesAnAck) {
            tell(wire::Kind::kAck, bytes + kWindow);
            granted_bytes = bytes;
            granted_messages = messages;
        }
    }
    std::printf("took %llu %llu %lld\n", static_cast<unsigned long long>(messages),
                static_cast<unsigned long long>(bytes), static_cast<long long>(bench::monotonic() - began));
    std::fflush(stdout);
    // A sender that closed over an acknowledgement it has not read would reset the connection, and cut off what is on
    // its way: it waits for this.
    tell(wire::Kind::kBye, 0);
}

// As the outbox has it.
std::string packed_channels(uint64_t number) {
    std::string out;
    relay::StringSink sink{out};
    relay::Packer packer(sink);
    char digest[wire::kDigestBytes];
    wire::put_digest(digest, {number, number});
    packer.pack_array(1);
    packer.pack_array(3);
    relay::pack_str(packer, "default");
    packer.pack_uint64(1);
    relay::pack_bin(packer, wire::Bytes(digest, sizeof digest));
    return out;
}

// Transactions of one change each, as many as the window holds.
relay::Window make_window(size_t transaction_bytes) {
    relay::Window window;
    for (uint64_t number = 1; number * transaction_bytes <= kWindowBytes; ++number) {
        auto transaction = std::make_shared<relay::Transaction>();
        transaction->number = number;
        transaction->epoch = 1;
        transaction->nonce = "0123abcd";
        transaction->xid = number;
        transaction->time = static_cast<int64_t>(number);
        transaction->changes = 1;
        transaction->channels.push_back({"default", 1, {number, number}});
        const std::string channels = packed_channels(number);
        transaction->packed_channels = channels;
        transaction->keep(std::string(transaction_bytes, 'x'));
        window.push(std::move(transaction));
    }
    return window;
}

relay::BatchPtr next_batch(const relay::Window& window, uint64_t prev, size_t target) {
    static const relay::Selection everything = relay::make_selection({"default"});
    return relay::pack_batch(window, prev, window.last(), everything, target);
}

void send_plain(zmq::socket_t& socket, const std::string& body_bytes, bool is_copied, int64_t duration) {
    zmq::message_t peer, frame;
    uint64_t limit = 0, sent = 0;
    bool is_over = false;
    const auto hear = [&] {
        (void)socket.recv(peer);
        (void)socket.recv(frame);
        wire::Frame word;
        if (!wire::decode_frame({frame.data<char>(), frame.size()}, word)) return;
        is_over = word.kind == wire::Kind::kBye;
        if (!is_over) limit = word.b;
    };
    hear();
    zmq::message_t shared(body_bytes.data(), body_bytes.size());
    const wire::Frame batch{wire::Kind::kBatch, 1, 0, 0};
    const auto send = [&](zmq::message_t* body) {
        zmq::message_t to, head(wire::kFrameBytes);
        to.copy(peer);
        wire::encode_frame(batch, head.data<char>());
        socket.send(to, zmq::send_flags::sndmore);
        socket.send(head, body != nullptr ? zmq::send_flags::sndmore : zmq::send_flags::none);
        if (body != nullptr) socket.send(*body, zmq::send_flags::none);
    };
    for (const int64_t end = bench::monotonic() + duration; bench::monotonic() < end;) {
        while (sent + body_bytes.size() > limit && sent + kWindow > limit) hear();
        zmq::message_t body;
        if (is_copied) {
            body.rebuild(body_bytes.data(), body_bytes.size());
        } else {
            body.copy(shared);
        }
        send(&body);
        sent += body_bytes.size();
    }
    send(nullptr);
    while (!is_over) hear();
}

void send_as_relay(relay::Identity& identity, relay::Router& router, const relay::Window& window, size_t target,
                   int64_t duration) {
    relay::Credit credit(kWindow);
    const auto unsent = std::make_shared<std::atomic<uint64_t>>(0);
    std::string peer;
    bool is_over = false;
    const auto hear = [&](std::chrono::milliseconds patience) {
        zmq::pollitem_t items[] = {{identity.handle(), 0, ZMQ_POLLIN, 0}, {router.handle(), 0, ZMQ_POLLIN, 0}};
        zmq::poll(items, std::size(items), patience);
        identity.answer_all();
        relay::Incoming message;
        wire::Frame word;
        while (router.receive(message)) {
            peer = message.routing_id;
            if (!wire::decode_frame(message.head, word)) continue;
            is_over = word.kind == wire::Kind::kBye;
            if (!is_over) credit.grant(word.b);
        }
    };
    while (peer.empty()) hear(std::chrono::milliseconds(100));
    uint64_t number = 0;
    relay::BatchPtr pending;
    for (const int64_t end = bench::monotonic() + duration; bench::monotonic() < end;) {
        if (!pending) pending = next_batch(window, number, target);
        if (*unsent > credit.window() || !credit.allows(pending->bytes)) {
            hear(std::chrono::milliseconds(5));
            continue;
        }
        const wire::Frame frame{wire::Kind::kBatch, 1, credit.sent() + pending->bytes, pending->last};
        if (router.send(peer, frame, pending->body, unsent) != relay::Sent::kQueued) {
            hear(std::chrono::milliseconds(5));
            continue;
        }
        credit.spend(pending->bytes);
        number = pending->last == window.last() ? 0 : pending->last;
        pending.reset();
    }
    while (router.send(peer, {wire::Kind::kEnd, 1, 0, 0}) == relay::Sent::kFull) hear(std::chrono::milliseconds(1));
    while (!is_over) hear(std::chrono::milliseconds(100));
}

// Runs one of the senders; `tell` gives the endpoint to the taker.
void run(const std::string& mode, size_t target, int64_t duration, size_t transaction_bytes,
         const std::function<void(const std::string&)>& tell) {
    const relay::Window window = make_window(transaction_bytes);
    zmq::context_t context;
    if (mode == "relay") {
        relay::Identity identity(context);
        relay::Router router(context, "tcp://127.0.0.1:*");
        tell(router.endpoint());
        send_as_relay(identity, router, window, target, duration);
        router.close(-1);
        identity.close();
        return;
    }
    zmq::socket_t socket(context, zmq::socket_type::router);
    socket.set(zmq::sockopt::router_mandatory, 1);
    socket.set(zmq::sockopt::sndhwm, kQueueMessages);
    socket.bind("tcp://127.0.0.1:*");
    tell(socket.get(zmq::sockopt::last_endpoint));
    send_plain(socket, std::string(next_batch(window, 0, target)->bytes, 'x'), mode == "copied", duration);
}

}  // namespace

int main(int count, char** words) {
    const std::string mode = count == 5 ? words[1] : "";
    int ends[2];
    if ((mode != "plain" && mode != "copied" && mode != "relay") || pipe(ends) != 0) {
        std::fprintf(stderr, "usage: wire plain|copied|relay BATCH_BYTES SECONDS TRANSACTION_BYTES\n");
        return 2;
    }
    // Both ends give up should the other one die.
    alarm(static_cast<unsigned>(std::atof(words[3])) + 30);
    const pid_t taker = fork();
    if (taker == 0) {
        alarm(static_cast<unsigned>(std::atof(words[3])) + 30);
        char endpoint[256] = {};
        if (read(ends[0], endpoint, sizeof endpoint - 1) <= 0) std::_Exit(1);
        take(endpoint, mode != "relay");
        std::_Exit(0);
    }
    run(mode, std::strtoul(words[2], nullptr, 10), static_cast<int64_t>(std::atof(words[3]) * 1e9),
        std::strtoul(words[4], nullptr, 10), [&ends](const std::string& endpoint) {
            if (write(ends[1], endpoint.c_str(), endpoint.size()) < 0) std::_Exit(1);
        });
    int status = 1;
    waitpid(taker, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// A relay for tests: a ROUTER with PLAIN and a ZAP thread, driven step by step by the test. It knows no rules itself.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <msgpack.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "clients/cpp/paysync.hpp"
#include "wire/digest.hpp"
#include "wire/frame.hpp"
#include "wire/messages.hpp"
#include "wire/streamed.hpp"

namespace paysync::testing {

inline constexpr std::chrono::milliseconds kPatience{5000};
inline constexpr char kNonce[] = "9f2c41aa";
inline constexpr char kStream[] = "0123456789abcdef";

using Packer = msgpack::packer<msgpack::sbuffer>;

inline void pack_text(Packer& packer, std::string_view text) {
    packer.pack_str(static_cast<uint32_t>(text.size()));
    packer.pack_str_body(text.data(), static_cast<uint32_t>(text.size()));
}

inline void pack_binary(Packer& packer, std::string_view bytes) {
    packer.pack_bin(static_cast<uint32_t>(bytes.size()));
    packer.pack_bin_body(bytes.data(), static_cast<uint32_t>(bytes.size()));
}

template <typename Write>
std::string packed(Write write) {
    msgpack::sbuffer buffer;
    Packer packer(buffer);
    write(packer);
    return std::string(buffer.data(), buffer.size());
}

// An insert into public.payments(id bigint, note text), shape 7.
inline std::string insert(int64_t id, const std::string& note = "x") {
    return packed([&](Packer& packer) {
        packer.pack_array(4).pack(0).pack(7).pack(0).pack_array(2).pack(id);
        pack_text(packer, note);
    });
}

inline std::string shapes_body() {
    return packed([](Packer& packer) {
        packer.pack_array(1).pack_array(2).pack(7).pack_array(5);
        for (const char* name : {"public", "payments", "default"}) pack_text(packer, name);
        packer.pack_array(2);
        packer.pack_array(3);
        pack_text(packer, "id");
        pack_text(packer, "bigint");
        packer.pack(2).pack_array(3);
        pack_text(packer, "note");
        pack_text(packer, "text");
        packer.pack(0).pack_array(1).pack(0);
    });
}

struct BatchOptions {
    uint64_t epoch = 3;
    std::string note = "x";
    bool spoil_digest = false;
};

// One insert a transaction, whose id is the transaction's number.
inline std::string batch_body(uint64_t previous, uint64_t last, const std::vector<uint64_t>& numbers,
                              const BatchOptions& options = {}) {
    return packed([&](Packer& packer) {
        packer.pack_array(5).pack(previous).pack(last).pack(options.epoch);
        pack_text(packer, kNonce);
        packer.pack_array(static_cast<uint32_t>(numbers.size()));
        for (const uint64_t number : numbers) {
            const std::string change = insert(static_cast<int64_t>(number), options.note);
            wire::Digest digest = wire::digest_of(change);
            if (options.spoil_digest) digest += wire::Digest{0, 1};
            char bytes[wire::kDigestBytes];
            wire::put_digest(bytes, digest);
            packer.pack_array(8).pack(number).pack(700 + number).pack(0).pack_nil().pack_nil().pack(1).pack_array(1);
            packer.pack_array(3);
            pack_text(packer, "default");
            packer.pack(1);
            pack_binary(packer, std::string_view(bytes, sizeof bytes));
            pack_binary(packer, change);
        }
    });
}

// Stands for a transaction that comes in parts: what its BEGIN says of these changes, in channel default.
struct Streamed {
    uint64_t number = 1;
    std::vector<std::string> changes;
    uint64_t epoch = 3;
    bool spoil_digest = false;
    uint64_t count_more = 0;  // than there are
    uint64_t bytes_less = 0;  // than there are

    [[nodiscard]] std::string data() const {
        std::string all;
        for (const std::string& change : changes) all += change;
        return all;
    }
    [[nodiscard]] std::string begin_body(uint64_t previous) const {
        wire::Begin begin;
        begin.prev = previous;
        begin.number = number;
        begin.epoch = epoch;
        begin.nonce = kNonce;
        begin.xid = 700 + number;
        begin.total = changes.size() + count_more;
        begin.bytes = data().size() - bytes_less;
        wire::Digest digest;
        for (const std::string& change : changes) digest += wire::digest_of(change);
        if (spoil_digest) digest += wire::Digest{0, 1};
        char bytes[wire::kDigestBytes];
        wire::put_digest(bytes, digest);
        return packed([&](Packer& packer) {
            wire::write_begin(packer, begin, [&](Packer& inner) {
                inner.pack_array(1).pack_array(3);
                pack_text(inner, "default");
                inner.pack(changes.size() + count_more);
                pack_binary(inner, std::string_view(bytes, sizeof bytes));
            });
        });
    }
};

inline std::string part_body(uint64_t index, std::string_view data, bool unfinished = false) {
    return packed([&](Packer& packer) { wire::write_part(packer, wire::Part{index, unfinished, data}); });
}

struct Heard {
    wire::Frame frame;
    std::string body;
    std::string peer;
    std::string user;
};

class FakeRelay {
public:
    FakeRelay() : zap_(context_, zmq::socket_type::rep) {
        zap_.bind("inproc://zeromq.zap.01");
        zap_.set(zmq::sockopt::rcvtimeo, 50);
        thread_ = std::thread([this] { authenticate(); });
        bind("tcp://127.0.0.1:*");
    }
    ~FakeRelay() {
        stop_ = true;
        thread_.join();
    }
    FakeRelay(const FakeRelay&) = delete;
    FakeRelay& operator=(const FakeRelay&) = delete;

    [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
    void deny() { status_ = "400"; }

    // Closes the socket, connections and all; reopen() binds the same port.
    void close() { router_.reset(); }
    void reopen() { bind(endpoint_); }

    // The next message of this kind; others that come before it are dropped. Fails the test after kPatience.
    Heard expect(wire::Kind kind, std::chrono::milliseconds patience = kPatience) {
        std::optional<Heard> heard = listen(kind, patience);
        if (!heard) throw std::runtime_error("no message of kind " + std::to_string(static_cast<int>(kind)));
        peer_ = heard->peer;
        return *heard;
    }
    std::optional<Heard> listen(wire::Kind kind, std::chrono::milliseconds patience) {
        const auto end = std::chrono::steady_clock::now() + patience;
        for (;;) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
            if (left.count() <= 0) return std::nullopt;
            router_->set(zmq::sockopt::rcvtimeo, static_cast<int>(left.count()));
            std::optional<Heard> heard = receive();
            if (heard && heard->frame.kind == kind) return heard;
        }
    }

    // Says WELCOME to whoever spoke last; a new session begins.
    void welcome(uint64_t after, uint64_t head, const std::string& stream = kStream, const std::string& rewound = {},
                 const std::vector<uint64_t>& skipped = {}) {
        session += 1;
        sent = 0;
        wire::Welcome map;
        map.rewound = rewound;
        const std::string start = "3." + std::string(kNonce) + ":" + std::to_string(after);
        map.version = version;
        map.stream_id = stream;
        map.epoch = 3;
        map.nonce = kNonce;
        map.subscriber = "mirror";
        map.start = start;
        const std::string body = packed([&](Packer& packer) {
            const auto channels = [](Packer& p) {
                p.pack_array(1);
                pack_text(p, "default");
            };
            wire::write_welcome(packer, map, channels, skipped.size(), [&](Packer& p) { p.pack(skipped); });
        });
        send(wire::Kind::kWelcome, after, head, body);
    }
    // HELLO, WELCOME, SHAPES.
    Heard greet(uint64_t after, uint64_t head) {
        Heard hello = expect(wire::Kind::kHello);
        welcome(after, head);
        shapes();
        return hello;
    }
    void shapes() {
        const std::string body = shapes_body();
        sent += body.size();
        send(wire::Kind::kShapes, sent, 0, body);
    }
    void batch(uint64_t previous, uint64_t last, const std::vector<uint64_t>& numbers,
               const BatchOptions& options = {}) {
        const std::string body = batch_body(previous, last, numbers, options);
        sent += body.size();
        send(wire::Kind::kBatch, sent, last, body);
    }
    // Messages of a transaction in parts; it goes on after `previous`.
    void begin(const Streamed& streamed, uint64_t previous) {
        const std::string body = streamed.begin_body(previous);
        sent += body.size();
        send(wire::Kind::kBegin, sent, streamed.number, body);
    }
    void part(uint64_t number, uint64_t index, std::string_view data, bool unfinished = false) {
        const std::string body = part_body(index, data, unfinished);
        sent += body.size();
        send(wire::Kind::kPart, sent, number, body);
    }
    void end(uint64_t number) { send(wire::Kind::kEnd, sent, number); }
    // BEGIN, a part a change, END.
    void streamed(const Streamed& transaction, uint64_t previous) {
        begin(transaction, previous);
        uint64_t index = 0;
        for (const std::string& change : transaction.changes) part(transaction.number, index++, change);
        end(transaction.number);
    }
    void error(uint64_t code, const std::string& message, uint64_t for_session = 0, uint64_t number = 0) {
        const std::string body = packed([&](Packer& packer) {
            wire::write_error(packer, wire::ErrorText{message, "Detail.", "Hint."});
        });
        send_as(for_session, wire::Kind::kError, code, number, body);
    }
    void send(wire::Kind kind, uint64_t a, uint64_t b, const std::string& body = {}) {
        send_as(session, kind, a, b, body);
    }
    void send_as(uint64_t as_session, wire::Kind kind, uint64_t a, uint64_t b, const std::string& body = {}) {
        char head[wire::kFrameBytes];
        wire::encode_frame(wire::Frame{kind, as_session, a, b}, head);
        router_->send(zmq::buffer(peer_), zmq::send_flags::sndmore);
        router_->send(zmq::buffer(head), body.empty() ? zmq::send_flags::none : zmq::send_flags::sndmore);
        if (!body.empty()) router_->send(zmq::buffer(body), zmq::send_flags::none);
    }

    uint64_t session = 0;
    uint64_t sent = 0;
    uint64_t version = 2;  // of its sessions

private:
    void bind(const std::string& endpoint) {
        router_.emplace(context_, zmq::socket_type::router);
        router_->set(zmq::sockopt::linger, 0);
        router_->set(zmq::sockopt::router_mandatory, true);
        router_->set(zmq::sockopt::plain_server, true);
        router_->set(zmq::sockopt::zap_domain, "paysync");
        router_->set(zmq::sockopt::maxmsgsize, int64_t{65536});
        // A closed socket gives its port back a moment later, in libzmq's own thread.
        const auto end = std::chrono::steady_clock::now() + kPatience;
        for (;;) {
            try {
                router_->bind(endpoint);
                break;
            } catch (const zmq::error_t&) {
                if (std::chrono::steady_clock::now() > end) throw;
                std::this_thread::yield();
            }
        }
        endpoint_ = router_->get(zmq::sockopt::last_endpoint);
    }

    std::optional<Heard> receive() {
        Heard heard;
        zmq::message_t peer;
        if (!router_->recv(peer)) return std::nullopt;
        heard.peer = peer.to_string();
        zmq::message_t head;
        (void)router_->recv(head);
        heard.user = head.gets("User-Id");
        zmq::message_t body;
        if (head.more()) (void)router_->recv(body);
        heard.body = body.to_string();
        EXPECT_FALSE(body.more());
        EXPECT_TRUE(wire::decode_frame(wire::Bytes(head.data<char>(), head.size()), heard.frame));
        return heard;
    }

    // PLAIN: the user name is the identity, the password is empty.
    void authenticate() {
        while (!stop_) {
            std::vector<std::string> request;
            zmq::message_t part;
            if (!zap_.recv(part)) continue;
            request.push_back(part.to_string());
            while (part.more() && zap_.recv(part)) request.push_back(part.to_string());
            const bool plain = request.size() == 8 && request[5] == "PLAIN" && request[7].empty();
            const std::string user = plain ? request[6] : "";
            const std::string status = plain ? status_.load() : "400";
            const std::string reply[] = {"1.0", request[1], status, "", user, ""};
            for (size_t i = 0; i < 6; ++i)
                zap_.send(zmq::buffer(reply[i]), i < 5 ? zmq::send_flags::sndmore : zmq::send_flags::none);
        }
    }

    zmq::context_t context_;
    zmq::socket_t zap_;
    std::optional<zmq::socket_t> router_;
    std::string endpoint_;
    std::string peer_;
    std::atomic<bool> stop_{false};
    std::atomic<const char*> status_{"200"};
    std::thread thread_;
};

}  // namespace paysync::testing

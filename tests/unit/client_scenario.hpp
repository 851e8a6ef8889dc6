// What the tests of libpaysync share: options, and ways to wait for what they are about.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/client_fake_relay.hpp"

namespace paysync::testing {

using std::chrono::milliseconds;
using wire::Kind;

// Nothing in these tests waits for a retry longer than it must.
inline Options options_for(const FakeRelay& relay, const std::string& subscriber = "mirror") {
    Options options;
    options.relays = {relay.endpoint()};
    options.subscriber = subscriber;
    options.timing.backoff_min = milliseconds(10);
    options.timing.backoff_max = milliseconds(40);
    options.timing.stop = milliseconds(20);
    return options;
}

inline wire::Hello hello_of(const Heard& heard) {
    wire::Hello hello;
    EXPECT_TRUE(wire::read_hello(heard.body, hello));
    return hello;
}

inline Uuid stream_id() {
    Uuid uuid;
    std::copy_n(kStream, 16, uuid.bytes.begin());
    return uuid;
}

// Numbers of the next `count` transactions.
inline std::vector<uint64_t> receive(Subscriber& subscriber, size_t count, bool acknowledge = true) {
    std::vector<uint64_t> numbers;
    while (numbers.size() < count) {
        const std::optional<Transaction> transaction = subscriber.receive(kPatience);
        if (!transaction) {
            ADD_FAILURE() << "only " << numbers.size() << " of " << count << " transactions came";
            break;
        }
        numbers.push_back(transaction->position.number);
        if (acknowledge) subscriber.acknowledge(transaction->position);
    }
    return numbers;
}

// Waits for an ACK of at least `number`.
inline Heard expect_ack(FakeRelay& relay, uint64_t number) {
    for (;;) {
        const Heard heard = relay.expect(Kind::kAck);
        if (heard.frame.a >= number) return heard;
    }
}

template <typename Condition>
bool eventually(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::yield();
    }
    return true;
}

using Numbers = std::vector<uint64_t>;

}  // namespace paysync::testing

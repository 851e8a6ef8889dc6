// libpaysync against a relay that does what the test says: credit, loss, acknowledgement, and what is handed over.
#include <gtest/gtest.h>

#include "tests/unit/client_scenario.hpp"

namespace paysync {
namespace {

using namespace testing;

TEST(ClientFlow, GrantsWhatWasConsumed) {
    // Rule: the credit limit is what the application has taken plus the window, never more.
    FakeRelay relay;
    Options options = options_for(relay);
    options.window = 64 * 1024;
    Subscriber subscriber(options);
    relay.greet(0, 2);
    const uint64_t shapes = relay.sent;
    relay.batch(0, 1, {1}, {.note = std::string(20000, 'a')});
    const uint64_t first = relay.sent;
    relay.batch(1, 2, {2}, {.note = std::string(20000, 'b')});
    const uint64_t second = relay.sent;
    const Heard ack = relay.expect(Kind::kAck);
    EXPECT_EQ(ack.frame.b, shapes + options.window) << "only shapes were consumed";
    EXPECT_EQ(ack.frame.a, 0U);
    receive(subscriber, 1);
    EXPECT_EQ(expect_ack(relay, 1).frame.b, first + options.window);
    receive(subscriber, 1);
    EXPECT_EQ(expect_ack(relay, 2).frame.b, second + options.window);
}

TEST(ClientFlow, TakesABatchLargerThanTheWindowAlone) {
    // Rule: a message larger than the window passes when everything before it was consumed.
    FakeRelay relay;
    Options options = options_for(relay);
    options.window = 64 * 1024;
    Subscriber subscriber(options);
    relay.greet(0, 2);
    relay.batch(0, 1, {1});
    receive(subscriber, 1);
    EXPECT_EQ(expect_ack(relay, 1).frame.b, relay.sent + options.window);
    relay.batch(1, 2, {2}, {.note = std::string(300000, 'a')});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{2}));
    EXPECT_EQ(expect_ack(relay, 2).frame.b, relay.sent + options.window);
}

TEST(ClientFlow, RefusesWhatItDidNotGrant) {
    // Rule: a relay that sends more than it was granted is stopped, it would fill the memory.
    FakeRelay relay;
    Options options = options_for(relay);
    options.window = 64 * 1024;
    Subscriber subscriber(options);
    relay.greet(0, 3);
    // Nothing is consumed meanwhile, so the second one is too much; it hangs up somewhere behind it.
    try {
        for (uint64_t number = 1; number <= 300; ++number)
            relay.batch(number - 1, number, {number}, {.note = std::string(40000, 'a')});
    } catch (const zmq::error_t& error) {
        ASSERT_EQ(error.num(), EHOSTUNREACH);
    }
    EXPECT_THROW(
        {
            for (int i = 0; i < 3; ++i) (void)subscriber.receive(kPatience);
        },
        Error);
}

TEST(ClientFlow, SaysHelloAgainWhenABatchIsMissing) {
    // Rule: a batch that does not follow is not taken; the subscriber says HELLO again and misses nothing.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    const Heard first = relay.greet(0, 9);
    relay.batch(0, 2, {1, 2});
    EXPECT_EQ(receive(subscriber, 2), (Numbers{1, 2}));
    expect_ack(relay, 2);
    relay.batch(4, 5, {5});
    const Heard again = relay.greet(2, 9);
    EXPECT_TRUE(hello_of(again).position.empty()) << "it has no position of its own";
    EXPECT_EQ(again.frame.b, first.frame.b) << "the same instance";
    relay.batch(2, 5, {3, 4, 5});
    EXPECT_EQ(receive(subscriber, 3), (Numbers{3, 4, 5}));
}

TEST(ClientFlow, SaysHelloAgainWhenBytesAreMissing) {
    // Rule: a batch whose count of bytes is not the subscriber's own means that something was lost.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 1);
    relay.sent += 1;
    relay.batch(0, 1, {1});
    relay.greet(0, 1);
    relay.batch(0, 1, {1});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{1}));
}

TEST(ClientFlow, FindsALostTailByPing) {
    // Rule: a PING whose bytes differ from what came means that the last messages were lost.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 1);
    relay.send(Kind::kPing, 1, relay.sent + 100);
    relay.greet(0, 1);
    relay.batch(0, 1, {1});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{1}));
}

TEST(ClientFlow, DropsFramesOfAnotherSession) {
    // Rule: what still comes from a session that is over is dropped, whatever it says.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 3);
    const std::string stale = batch_body(0, 3, {3});
    relay.send_as(relay.session + 5, Kind::kBatch, stale.size(), 3, stale);
    relay.send_as(relay.session + 5, Kind::kPing, 3, 12345);
    relay.send_as(relay.session + 5, Kind::kBye, 0, 0);
    relay.error(301, "stale", relay.session + 5);
    relay.error(302, "stale", relay.session + 5);
    relay.batch(0, 1, {1});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{1}));
    EXPECT_FALSE(relay.listen(Kind::kHello, milliseconds(50)));
}

TEST(ClientFlow, StopsAtAWrongDigest) {
    // Rule: what is not as it was captured is never handed over; what came before it is.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 2);
    relay.batch(0, 1, {1});
    relay.batch(1, 2, {2}, {.spoil_digest = true});
    EXPECT_EQ(receive(subscriber, 1, false), (Numbers{1}));
    EXPECT_THROW((void)subscriber.receive(kPatience), Error);
}

TEST(ClientFlow, StopsWhereHistoryChanged) {
    // Rule: a number that was handed over and comes again in another history is an error.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 2);
    relay.batch(0, 1, {1});
    EXPECT_EQ(receive(subscriber, 1, false), (Numbers{1}));
    relay.error(301, "the session is over", relay.session);
    relay.greet(0, 2);
    relay.batch(0, 1, {1}, {.epoch = 4});
    EXPECT_THROW((void)subscriber.receive(kPatience), Error);
}

TEST(ClientFlow, HandsOverAgainWhatTheSourceRewound) {
    // Rule: a durable subscriber is sent back below what it had acknowledged by a relay of version 1, which has no
    // other way to tell of a replay: everything from there comes again.
    FakeRelay relay;
    relay.version = 1;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 3);
    relay.batch(0, 3, {1, 2, 3});
    EXPECT_EQ(receive(subscriber, 3), (Numbers{1, 2, 3}));
    expect_ack(relay, 3);
    relay.error(301, "replay", relay.session);
    relay.greet(1, 3);
    relay.batch(1, 3, {2, 3});
    const std::optional<Transaction> second = subscriber.receive(kPatience);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->position.number, 2U);
    subscriber.acknowledge(Position{3, kNonce, 3});
    subscriber.acknowledge(second->position);
    EXPECT_EQ(expect_ack(relay, 2).frame.a, 2U) << "an acknowledgement of the first pass says nothing about the second";
}

TEST(ClientFlow, LostAcknowledgementsRepeatNothing) {
    // Rule: a relay that lost acknowledgements goes on below them; without a replay nothing is handed over twice.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 4);
    relay.batch(0, 3, {1, 2, 3});
    EXPECT_EQ(receive(subscriber, 3), (Numbers{1, 2, 3}));
    expect_ack(relay, 3);
    relay.error(301, "the relay was restarted", relay.session);
    relay.greet(1, 4);
    relay.batch(1, 4, {2, 3, 4});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{4}));
    EXPECT_EQ(expect_ack(relay, 4).frame.a, 4U);
}

TEST(ClientFlow, AcknowledgesAtMostEvery50Milliseconds) {
    // Rule: while batches come one upon the other, acknowledgements are cumulative and few.
    FakeRelay relay;
    Options options = options_for(relay);
    options.timing.acknowledge = milliseconds(200);
    Subscriber subscriber(options);
    constexpr uint64_t kCount = 50;
    relay.greet(0, kCount);
    for (uint64_t number = 1; number <= kCount; ++number) relay.batch(number - 1, number, {number});
    for (uint64_t number = 1; number < kCount; ++number) receive(subscriber, 1);
    // All but one are acknowledged, so the stream is not idle: one ACK for SHAPES, then one a time-out.
    int acks = 0;
    while (relay.expect(Kind::kAck).frame.a < kCount - 1) acks += 1;
    EXPECT_LE(acks, 10);
    const auto before = std::chrono::steady_clock::now();
    receive(subscriber, 1);
    expect_ack(relay, kCount);
    EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(150)) << "at once when the stream is idle";
}

TEST(ClientFlow, AcknowledgesWhatIsNotForIt) {
    // Rule: numbers without a change for this subscriber are acknowledged with what lies before them, not earlier.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 30);
    relay.batch(0, 10, {});
    EXPECT_EQ(expect_ack(relay, 10).frame.a, 10U);
    relay.batch(10, 20, {15});
    relay.batch(20, 30, {});
    const std::optional<Transaction> transaction = subscriber.receive(kPatience);
    ASSERT_TRUE(transaction);
    relay.send(Kind::kPing, 30, relay.sent);
    EXPECT_EQ(relay.expect(Kind::kPong).frame.a, 10U) << "15 is not applied yet";
    subscriber.acknowledge(transaction->position);
    EXPECT_EQ(expect_ack(relay, 15).frame.a, 30U);
}

TEST(ClientFlow, LooksWithoutAcknowledging) {
    // Rule: a subscriber that only looks grants credit and never moves the position.
    FakeRelay relay;
    Options options = options_for(relay);
    options.acknowledges = false;
    Subscriber subscriber(options);
    relay.greet(5, 9);
    relay.batch(5, 8, {6, 7});
    EXPECT_EQ(receive(subscriber, 2), (Numbers{6, 7}));
    relay.batch(8, 9, {});
    Heard ack = relay.expect(Kind::kAck);
    while (ack.frame.b < relay.sent + options.window) {
        EXPECT_EQ(ack.frame.a, 5U);
        ack = relay.expect(Kind::kAck);
    }
    EXPECT_EQ(ack.frame.a, 5U);
}

TEST(ClientFlow, AnEphemeralOneGoesOnWhereItWas) {
    // Rule: an ephemeral subscriber says "*", and after a loss brings the position of what it has handed over.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay, ""));
    const Heard first = relay.greet(100, 100);
    EXPECT_EQ(first.user, "*");
    EXPECT_TRUE(hello_of(first).position.empty());
    relay.batch(100, 103, {101, 102, 103});
    EXPECT_EQ(receive(subscriber, 2), (Numbers{101, 102}));
    relay.error(301, "the session is over", relay.session);
    const Heard second = relay.expect(Kind::kHello);
    EXPECT_EQ(hello_of(second).position, "3.9f2c41aa:102");
    EXPECT_EQ(hello_of(second).stream_id, kStream);
    relay.error(401, "not yet");
    const Heard third = relay.greet(102, 104);
    EXPECT_EQ(hello_of(third).position, "3.9f2c41aa:102") << "what only waited is not counted as received";
    relay.batch(102, 104, {103, 104});
    EXPECT_EQ(receive(subscriber, 2), (Numbers{103, 104}));
}

TEST(ClientFlow, StopSendsTheLastAcknowledgement) {
    // Rule: when stop() returns, the relay has the last acknowledgement; then it hears good-bye.
    FakeRelay relay;
    Options options = options_for(relay);
    options.timing.acknowledge = milliseconds(60000);
    options.timing.stop = kPatience;
    Subscriber subscriber(options);
    relay.greet(0, 3);
    relay.expect(Kind::kAck);
    relay.batch(0, 3, {1, 2, 3});
    EXPECT_EQ(receive(subscriber, 2), (Numbers{1, 2}));
    std::thread stopper([&] { subscriber.stop(); });
    EXPECT_EQ(expect_ack(relay, 2).frame.a, 2U);
    EXPECT_EQ(relay.expect(Kind::kPing).frame.a, 2U);
    relay.send(Kind::kPong, 3, relay.sent);
    const Heard bye = relay.expect(Kind::kBye);
    EXPECT_EQ(bye.frame.a, 2U);
    EXPECT_EQ(bye.frame.session, relay.session);
    stopper.join();
    EXPECT_FALSE(subscriber.receive(kPatience));
}

}  // namespace
}  // namespace paysync

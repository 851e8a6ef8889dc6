// libpaysync and paysync.replay(), paysync.skip(): who starts where, and what is handed over again.
#include <gtest/gtest.h>

#include "tests/unit/client_recording_sink.hpp"

namespace paysync {
namespace {

using namespace testing;

const std::string kSeven = "3.9f2c41aa:7";

TEST(ClientRewind, WhoKeepsNoPositionStartsThere) {
    // Rule: a replay hands over again what was handed over, acknowledged or not; repeated, it does not a third time.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(4, 9);
    relay.batch(4, 9, {5, 6, 7, 8, 9});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{5}));
    EXPECT_EQ(receive(subscriber, 4, false), (Numbers{6, 7, 8, 9}));
    expect_ack(relay, 5);
    for (const bool first : {true, false}) {
        relay.error(301, "it was changed", relay.session);
        relay.expect(Kind::kHello);
        relay.welcome(7, 9, kStream, kSeven, {8});
        relay.shapes();
        relay.batch(7, 9, {9});
        relay.send(Kind::kPing, 9, relay.sent);
        relay.expect(Kind::kPong);
        ASSERT_TRUE(subscriber.session());
        ASSERT_TRUE(subscriber.session()->rewound);
        EXPECT_EQ(subscriber.session()->rewound->text(), kSeven);
        EXPECT_EQ(subscriber.session()->skipped, (Numbers{8}));
        if (first) {
            EXPECT_EQ(receive(subscriber, 1, false), (Numbers{9}));
        } else {
            EXPECT_FALSE(subscriber.receive(milliseconds(50)));
        }
    }
}

TEST(ClientRewind, WhoObeysStartsThere) {
    // Rule: one that brings a position starts elsewhere only where it said that it obeys, and the relay that it was
    // asked to.
    for (const bool obeys : {true, false}) {
        FakeRelay relay;
        Options options = options_for(relay);
        options.position = Position{3, kNonce, 9};
        options.stream_id = stream_id();
        options.obeys_rewinds = obeys;
        Subscriber subscriber(options);
        const Heard heard = relay.expect(Kind::kHello);
        const wire::Hello hello = hello_of(heard);
        EXPECT_EQ(hello.position, "3.9f2c41aa:9");
        EXPECT_EQ(hello.obeys_rewinds, obeys);
        relay.welcome(7, 9, kStream, kSeven);
        relay.shapes();
        if (!obeys) {
            EXPECT_THROW((void)subscriber.receive(kPatience), Error);
            continue;
        }
        relay.batch(7, 9, {8, 9});
        EXPECT_EQ(receive(subscriber, 2), (Numbers{8, 9}));
        EXPECT_EQ(expect_ack(relay, 9).frame.a, 9U);
    }
}

TEST(ClientRewind, OthersAreTold) {
    // Rule: one that keeps its position and does not obey goes on there, and can see what was asked for.
    FakeRelay relay;
    Options options = options_for(relay);
    options.position = Position{3, kNonce, 9};
    options.stream_id = stream_id();
    Subscriber subscriber(options);
    relay.expect(Kind::kHello);
    relay.welcome(9, 10, kStream, kSeven);
    relay.shapes();
    relay.batch(9, 10, {10});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{10}));
    EXPECT_EQ(subscriber.session()->rewound->text(), kSeven);
    EXPECT_EQ(subscriber.session()->start.number, 9U);
}

TEST(ClientRewind, AReplayInsideOfATransactionAborts) {
    // Rule: a transaction under way when a replay begins is aborted; what comes is what was asked for.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(8, 9);
    relay.begin(three(9), 8);
    RecordingSink sink;
    EXPECT_EQ(take_words(subscriber, sink, 1), (Words{"begin 9"}));
    relay.error(301, "it was changed", relay.session);
    relay.expect(Kind::kHello);
    relay.welcome(7, 9, kStream, kSeven);
    relay.shapes();
    relay.batch(7, 8, {8});
    relay.streamed(three(9), 8);
    EXPECT_EQ(take_words(subscriber, sink, 9), (Words{"abort", "begin 8", "changes 8", "commit", "begin 9", "changes 1",
                                                      "changes 2", "changes 3", "commit"}));
}

TEST(ClientRewind, ACommitDuringAReplay) {
    // Rule: a commit() that ends after a replay began does not keep the replay from handing over what lies before it.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(8, 9);
    relay.streamed(three(9), 8);
    RecordingSink sink;
    sink.before_commit = [&] {
        sink.before_commit = nullptr;
        relay.error(301, "it was changed", relay.session);
        relay.expect(Kind::kHello);
        relay.welcome(7, 9, kStream, kSeven);
        relay.shapes();
        relay.batch(7, 9, {8, 9});
        relay.send(Kind::kPing, 9, relay.sent);
        relay.expect(Kind::kPong);
    };
    EXPECT_TRUE(subscriber.receive_into(sink, kPatience));
    EXPECT_EQ(receive(subscriber, 2), (Numbers{8, 9}));
    EXPECT_EQ(expect_ack(relay, 9).frame.a, 9U);
}

TEST(ClientRewind, ACommitWhileTheSessionIsRenewed) {
    // Rule: without a replay, what was committed while a new session brought it again is not handed over twice.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 2);
    relay.streamed(three(1), 0);
    RecordingSink sink;
    sink.before_commit = [&] {
        sink.before_commit = nullptr;
        relay.error(301, "the session is over", relay.session);
        relay.greet(0, 2);
        relay.streamed(three(1), 0);
        relay.batch(1, 2, {2});
        relay.send(Kind::kPing, 2, relay.sent);
        relay.expect(Kind::kPong);
    };
    EXPECT_TRUE(subscriber.receive_into(sink, kPatience));
    EXPECT_EQ(receive(subscriber, 1), (Numbers{2}));
    const Heard ack = expect_ack(relay, 2);
    EXPECT_EQ(ack.frame.b, relay.sent + wire::kDefaultWindow) << "what was dropped is consumed";
}

}  // namespace
}  // namespace paysync

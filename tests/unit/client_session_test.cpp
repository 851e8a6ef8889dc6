// libpaysync against a relay that does what the test says: greeting, silence, refusal, coming back.
#include <gtest/gtest.h>

#include "tests/unit/client_scenario.hpp"

namespace paysync {
namespace {

using namespace testing;

TEST(ClientSession, GreetsAndHandsOverWholeTransactions) {
    // Rule: HELLO carries version, window and the name as PLAIN user; what comes is handed over with its values.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    const Heard heard = relay.greet(4, 6);
    const wire::Hello hello = hello_of(heard);
    EXPECT_EQ(heard.user, "mirror");
    EXPECT_EQ(heard.frame.session, 0U);
    EXPECT_NE(heard.frame.b, 0U);
    EXPECT_EQ(hello.lowest_version, 1U);
    EXPECT_EQ(hello.window, wire::kDefaultWindow);
    EXPECT_TRUE(hello.position.empty());
    EXPECT_TRUE(hello.stream_id.empty());
    relay.batch(4, 6, {5, 6});
    const std::optional<Transaction> transaction = subscriber.receive(kPatience);
    ASSERT_TRUE(transaction);
    EXPECT_EQ(transaction->position.text(), "3.9f2c41aa:5");
    EXPECT_EQ(transaction->xid, 705U);
    ASSERT_EQ(transaction->changes.size(), 1U);
    const Change& change = transaction->changes[0];
    EXPECT_EQ(change.operation, Operation::kInsert);
    EXPECT_EQ(change.table->name, "payments");
    EXPECT_EQ(change.new_values, (std::vector<Value>{int64_t{5}, std::string("x")}));
    EXPECT_EQ(to_json(*transaction),
              R"({"position":"3.9f2c41aa:5","xid":"705","time":"2000-01-01T00:00:00.000000Z","origin":null,)"
              R"("context":null,"changes":[{"channel":"default","table":"public.payments","op":"insert",)"
              R"("key":{"id":"5"},"old":null,"new":{"id":"5","note":"x"}}]})");
    EXPECT_FALSE(subscriber.caught_up());
    EXPECT_EQ(receive(subscriber, 1), (Numbers{6}));
    EXPECT_TRUE(subscriber.caught_up());
    ASSERT_TRUE(subscriber.session());
    EXPECT_EQ(subscriber.session()->subscriber, "mirror");
    EXPECT_EQ(subscriber.session()->stream_id, stream_id());
    EXPECT_EQ(subscriber.session()->channels, std::vector<std::string>{"default"});
}

TEST(ClientSession, BringsItsOwnPosition) {
    // Rule: a subscriber that keeps its position says it, with the stream it is from, and goes nowhere else.
    FakeRelay relay;
    Options options = options_for(relay);
    options.position = Position{3, kNonce, 10};
    options.stream_id = stream_id();
    Subscriber subscriber(options);
    const Heard heard = relay.expect(Kind::kHello);
    const wire::Hello hello = hello_of(heard);
    EXPECT_EQ(hello.position, "3.9f2c41aa:10");
    EXPECT_EQ(hello.stream_id, kStream);
    relay.welcome(9, 20);
    EXPECT_THROW((void)subscriber.receive(kPatience), Error);
    EXPECT_THROW((void)subscriber.receive(milliseconds(0)), Error) << "from then on the same again";
}

TEST(ClientSession, AnswersAPing) {
    // Rule: a PONG has the number applied and the bytes received; PING tells the head.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 1);
    relay.batch(0, 1, {1});
    receive(subscriber, 1);
    EXPECT_TRUE(subscriber.caught_up());
    expect_ack(relay, 1);
    relay.send(Kind::kPing, 7, relay.sent);
    const Heard pong = relay.expect(Kind::kPong);
    EXPECT_EQ(pong.frame.session, relay.session);
    EXPECT_EQ(pong.frame.a, 1U);
    EXPECT_EQ(pong.frame.b, relay.sent);
    EXPECT_FALSE(subscriber.caught_up()) << "the head is 7";
    relay.batch(1, 7, {});
    EXPECT_TRUE(eventually([&] { return subscriber.caught_up(); })) << "nothing for us up to 7";
}

TEST(ClientSession, PingsInSilenceWhileTheApplicationWorks) {
    // Rule: after some silence the subscriber asks, also when nobody calls receive().
    FakeRelay relay;
    Options options = options_for(relay);
    options.timing.ping = milliseconds(100);
    Subscriber subscriber(options);
    relay.greet(0, 0);
    for (int i = 0; i < 3; ++i) {
        const Heard ping = relay.expect(Kind::kPing);
        EXPECT_EQ(ping.frame.b, relay.sent);
        relay.send(Kind::kPong, 0, relay.sent);
    }
}

TEST(ClientSession, OpensANewSocketAfterSilence) {
    // Rule: a relay that says nothing for too long is given up, and the next socket has another routing id.
    FakeRelay relay;
    Options options = options_for(relay);
    options.timing.ping = milliseconds(100);
    options.timing.dead = milliseconds(400);
    Subscriber subscriber(options);
    const Heard first = relay.greet(0, 0);
    relay.expect(Kind::kPing);
    const Heard second = relay.expect(Kind::kHello);
    EXPECT_NE(first.peer, second.peer);
    EXPECT_EQ(first.frame.b, second.frame.b);
}

TEST(ClientSession, SurvivesALossInAFlood) {
    // Rule: a connection that ends in the middle of a flood is a loss like any other. libzmq ends the process where it
    // takes a socket's pipe away between two frames of a message.
    FakeRelay relay;
    Options options = options_for(relay);
    options.timing.backoff_min = options.timing.backoff_max = milliseconds(1);
    Subscriber subscriber(options);
    for (int i = 0; i < 20; ++i) {
        relay.greet(0, 1000);
        for (uint64_t number = 1; number <= 1000; ++number) relay.batch(number - 1, number, {number});
        receive(subscriber, 1);
        relay.close();
        relay.reopen();
    }
    relay.greet(0, 1);
    relay.batch(0, 1, {1});
    EXPECT_TRUE(eventually([&] { return subscriber.caught_up(); }));
}

TEST(ClientSession, TriesTheNextRelayWhenNoWelcomeComes) {
    // Rule: without a WELCOME in time the subscriber opens a new socket to the next relay of its list.
    FakeRelay silent;
    FakeRelay relay;
    Options options = options_for(silent);
    options.relays.push_back(relay.endpoint());
    options.timing.welcome = milliseconds(200);
    Subscriber subscriber(options);
    silent.expect(Kind::kHello);
    relay.greet(0, 1);
    relay.batch(0, 1, {1});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{1}));
}

TEST(ClientSession, ComesBackToARelayThatWasRestarted) {
    // Rule: a broken connection is seen at once, and nothing that was handed over comes twice.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 3);
    relay.batch(0, 2, {1, 2});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{1}));
    expect_ack(relay, 1);
    EXPECT_EQ(receive(subscriber, 1, false), (Numbers{2}));
    relay.close();
    EXPECT_TRUE(eventually([&] { return !subscriber.trouble().empty(); }));
    EXPECT_FALSE(subscriber.session());
    relay.reopen();
    relay.greet(1, 3);
    relay.batch(1, 3, {2, 3});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{3}));
    EXPECT_TRUE(subscriber.trouble().empty());
    EXPECT_EQ(expect_ack(relay, 3).frame.a, 3U);
}

TEST(ClientSession, ReturnsAfterABye) {
    // Rule: a relay that drains says when to come back, and the subscriber does.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 1);
    const auto before = std::chrono::steady_clock::now();
    relay.send(Kind::kBye, 0, 150,
               "\x81\x01\xa8"
               "draining");
    relay.expect(Kind::kHello);
    EXPECT_GE(std::chrono::steady_clock::now() - before, milliseconds(140));
    EXPECT_NE(subscriber.trouble().find("draining"), std::string::npos);
    relay.welcome(0, 1);
}

TEST(ClientSession, AnswersAByeWithWhatWasAcknowledged) {
    // Rule: a relay that drains gets the last ACK, however long that could have waited, and BYE.
    FakeRelay relay;
    Options options = options_for(relay);
    options.timing.acknowledge = milliseconds(60000);
    Subscriber subscriber(options);
    relay.greet(0, 3);
    relay.expect(Kind::kAck);
    relay.batch(0, 3, {1, 2, 3});
    EXPECT_EQ(receive(subscriber, 2), (Numbers{1, 2}));
    relay.send(Kind::kBye, 0, 150,
               "\x81\x01\xa5"
               "drain");
    EXPECT_EQ(relay.expect(Kind::kAck).frame.a, 2U);
    EXPECT_EQ(relay.expect(Kind::kBye).frame.a, 2U);
}

TEST(ClientSession, SaysHelloAgainOnAStaleSession) {
    // Rule: STALE_SESSION means HELLO, on the same connection.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    const Heard first = relay.greet(0, 1);
    relay.error(301, "the session is over", relay.session);
    const Heard second = relay.greet(0, 1);
    EXPECT_EQ(first.peer, second.peer);
}

TEST(ClientSession, RetriesWhatPasses) {
    // Rule: codes from 400 to 499 are tried again, nobody is told.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    for (const uint64_t code : {401, 402, 499}) {
        relay.expect(Kind::kHello);
        relay.error(code, "not yet");
    }
    relay.greet(0, 1);
    relay.batch(0, 1, {1});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{1}));
}

TEST(ClientSession, StopsWhereTheRelayRefuses) {
    // Rule: every other code ends the subscription with the relay's code, number, message, detail and hint.
    for (const uint64_t code : {100, 101, 102, 200, 201, 202, 203, 204, 302, 303, 500, 501}) {
        FakeRelay relay;
        Subscriber subscriber(options_for(relay));
        relay.expect(Kind::kHello);
        relay.error(code, "no", 0, 42);
        try {
            (void)subscriber.receive(kPatience);
            ADD_FAILURE() << code << " was not refused";
        } catch (const Refused& refused) {
            EXPECT_EQ(refused.code(), code);
            EXPECT_EQ(refused.number(), 42U);
            EXPECT_STREQ(refused.what(), "no");
            EXPECT_EQ(refused.detail(), "Detail.");
            EXPECT_EQ(refused.hint(), "Hint.");
        }
    }
}

TEST(ClientSession, StopsWhereAuthenticationRefuses) {
    // Rule: libzmq does not come back after a denied handshake; the caller is told instead of waiting for ever.
    FakeRelay relay;
    relay.deny();
    Subscriber subscriber(options_for(relay));
    EXPECT_THROW((void)subscriber.receive(kPatience), Refused);
}

TEST(ClientSession, StopsAtAnotherStream) {
    // Rule: a relay that suddenly serves another database is an error, whatever numbers it gives.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 0);
    relay.error(301, "the session is over", relay.session);
    relay.expect(Kind::kHello);
    relay.welcome(0, 0, "fedcba9876543210");
    EXPECT_THROW((void)subscriber.receive(kPatience), Error);
}

TEST(ClientSession, StopsInTimeWithoutARelay) {
    // Rule: a relay that does not answer, or is not there, holds nobody up for more than a second or so.
    FakeRelay relay;
    const auto before = std::chrono::steady_clock::now();
    {
        Subscriber connected(options_for(relay));
        relay.greet(0, 0);
        Options options = options_for(relay);
        options.relays = {"ipc:///nonexistent/relay"};
        Subscriber alone(options);
        EXPECT_TRUE(eventually([&] { return !alone.trouble().empty(); }));
        EXPECT_FALSE(alone.receive(milliseconds(1)));
    }
    EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(3000));
}

TEST(ClientSession, RefusesWrongFrames) {
    // Rule: an unknown kind is an error unless its bit says that it may be ignored; so is a body where there is none.
    const auto outcome = [](const std::function<void(FakeRelay&)>& misbehave) {
        FakeRelay relay;
        Subscriber subscriber(options_for(relay));
        relay.greet(0, 1);
        misbehave(relay);
        relay.batch(0, 1, {1});
        try {
            return subscriber.receive(kPatience).has_value();
        } catch (const Error&) {
            return false;
        }
    };
    EXPECT_TRUE(outcome([](FakeRelay& relay) { relay.send(static_cast<Kind>(0xc7), 1, 2); }));
    EXPECT_TRUE(outcome([](FakeRelay& relay) { relay.send(static_cast<Kind>(0xc7), 1, 2, "any"); }));
    EXPECT_FALSE(outcome([](FakeRelay& relay) { relay.send(static_cast<Kind>(0x88), 1, 2); }));
    EXPECT_FALSE(outcome([](FakeRelay& relay) { relay.send(Kind::kPing, 1, relay.sent, "body"); }));
    EXPECT_FALSE(outcome([](FakeRelay& relay) { relay.send(Kind::kBatch, relay.sent, 1); }));
    EXPECT_FALSE(outcome([](FakeRelay& relay) { relay.send(Kind::kAck, 1, 1); }));
}

TEST(ClientSession, RefusesWrongOptionsAndCalls) {
    // Rule: what cannot work is said at once, with the value that is wrong.
    FakeRelay relay;
    const auto wrong = [&](const std::function<void(Options&)>& spoil) {
        Options options = options_for(relay);
        spoil(options);
        EXPECT_THROW(Subscriber{options}, Error);
    };
    wrong([](Options& o) { o.relays.clear(); });
    wrong([](Options& o) { o.relays = {"localhost:7420"}; });
    wrong([](Options& o) { o.subscriber = "Mirror"; });
    wrong([](Options& o) { o.subscriber = std::string(64, 'a'); });
    wrong([](Options& o) { o.subscriber = "-a"; });
    wrong([](Options& o) { o.window = 1; });
    wrong([](Options& o) { o.window = wire::kMaxWindow + 1; });
    wrong([](Options& o) { o.stream_id = stream_id(); });
    wrong([](Options& o) { o.position = Position{3, kNonce, 1}; });
    wrong([](Options& o) { o.stream_id = stream_id(), o.position = Position{3, "x", 1}; });
    Subscriber subscriber(options_for(relay));
    EXPECT_THROW(subscriber.acknowledge(Position{3, kNonce, 1}), Error);
    relay.greet(0, 1);
    relay.batch(0, 1, {1});
    receive(subscriber, 1, false);
    EXPECT_THROW(subscriber.acknowledge(Position{4, kNonce, 1}), Error) << "another history";
}

}  // namespace
}  // namespace paysync

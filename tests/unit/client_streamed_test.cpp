// Transactions in parts, as libpaysync hands them over: whole, piece by piece, interrupted, repeated.
#include <gtest/gtest.h>

#include "tests/unit/client_recording_sink.hpp"

namespace paysync {
namespace {

using namespace testing;

TEST(ClientStreamed, ComesWholeThroughReceive) {
    // Rule: receive() puts a transaction in parts together; it is like any other.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    const Heard hello = relay.greet(0, 3);
    EXPECT_EQ(hello_of(hello).highest_version, 2U);
    EXPECT_FALSE(hello_of(hello).obeys_rewinds);
    relay.batch(0, 1, {1});
    relay.streamed(three(2), 1);
    relay.batch(2, 3, {3});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{1}));
    const std::optional<Transaction> transaction = subscriber.receive(kPatience);
    ASSERT_TRUE(transaction);
    EXPECT_EQ(transaction->position.number, 2U);
    EXPECT_EQ(transaction->xid, 702U);
    EXPECT_EQ(transaction->change_count, 3U);
    EXPECT_EQ(transaction->streamed_bytes, three(2).data().size());
    ASSERT_EQ(transaction->changes.size(), 3U);
    EXPECT_EQ(transaction->changes[2].new_values[0], Value(int64_t{3}));
    EXPECT_EQ(transaction->changes[2].bytes, insert(3)) << "the bytes live as long as the transaction";
    subscriber.acknowledge(transaction->position);
    EXPECT_EQ(receive(subscriber, 1), (Numbers{3}));
    EXPECT_EQ(expect_ack(relay, 3).frame.a, 3U);
}

TEST(ClientStreamed, ComesInPiecesThroughASink) {
    // Rule: every transaction, small ones too, is begin, changes, commit; and the two ways may be mixed.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 4);
    relay.batch(0, 2, {1, 2});
    relay.streamed(three(3), 2);
    relay.batch(3, 4, {4});
    RecordingSink sink;
    EXPECT_TRUE(subscriber.receive_into(sink, kPatience));
    EXPECT_EQ(sink.words(), (Words{"begin 1", "changes 1", "commit"}));
    EXPECT_EQ(sink.last_head.streamed_bytes, 0U);
    EXPECT_EQ(sink.last_head.change_count, 1U);
    EXPECT_EQ(receive(subscriber, 1), (Numbers{2}));
    EXPECT_TRUE(subscriber.receive_into(sink, kPatience));
    EXPECT_EQ(sink.words(), (Words{"begin 3", "changes 1", "changes 2", "changes 3", "commit"}));
    subscriber.acknowledge(sink.position);
    EXPECT_EQ(expect_ack(relay, 3).frame.a, 3U);
    EXPECT_EQ(receive(subscriber, 1), (Numbers{4}));
}

TEST(ClientStreamed, PutsACutChangeTogether) {
    // Rule: a change that is longer than a part arrives as one change, wherever it was cut, and others stand beside it.
    const std::string large = insert(2, std::string(700000, 'x'));
    const Streamed transaction{.number = 1, .changes = {insert(1), large, insert(3)}};
    for (const size_t cut : {size_t{1}, size_t{5}, size_t{100000}}) {
        FakeRelay relay;
        Subscriber subscriber(options_for(relay));
        relay.greet(0, 1);
        relay.begin(transaction, 0);
        relay.part(1, 0, insert(1) + large.substr(0, cut), true);
        relay.part(1, 1, large.substr(cut, 262000), true);
        relay.part(1, 2, large.substr(cut + 262000, 262000), true);
        relay.part(1, 3, large.substr(cut + 524000) + insert(3));
        relay.end(1);
        if (cut == 5) {
            const std::optional<Transaction> whole = subscriber.receive(kPatience);
            ASSERT_TRUE(whole);
            ASSERT_EQ(whole->changes.size(), 3U);
            EXPECT_EQ(whole->changes[1].bytes, large);
            continue;
        }
        RecordingSink sink;
        EXPECT_TRUE(subscriber.receive_into(sink, kPatience));
        EXPECT_EQ(sink.words(), (Words{"begin 1", "changes 1", "changes 2 3", "commit"}));
    }
}

TEST(ClientStreamed, OnlyCommitMakesItCount) {
    // Rule: a position is acknowledged after its commit() or inside of it, never before; and until then nothing is
    // caught up.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 1);
    RecordingSink sink;
    relay.begin(three(1), 0);
    relay.part(1, 0, insert(1));
    EXPECT_EQ(take_words(subscriber, sink, 2), (Words{"begin 1", "changes 1"}));
    EXPECT_FALSE(subscriber.caught_up());
    EXPECT_THROW(subscriber.acknowledge(sink.position), Error);
    EXPECT_THROW((void)subscriber.receive(milliseconds(0)), Error) << "it is under way in receive_into()";
    relay.part(1, 1, insert(2) + insert(3));
    relay.end(1);
    relay.send(Kind::kPing, 1, relay.sent);
    EXPECT_EQ(relay.expect(Kind::kPong).frame.a, 0U);
    EXPECT_FALSE(subscriber.caught_up()) << "nobody has taken its end";
    sink.before_commit = [&] { subscriber.acknowledge(sink.position); };
    EXPECT_TRUE(subscriber.receive_into(sink, kPatience));
    EXPECT_EQ(expect_ack(relay, 1).frame.a, 1U);
    EXPECT_TRUE(subscriber.caught_up());
}

TEST(ClientStreamed, AcknowledgedInACommitThatFails) {
    // Rule: an acknowledgement inside of a commit() that then throws counts for nothing; the transaction comes again.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 1);
    relay.streamed(three(1), 0);
    RecordingSink sink;
    sink.before_commit = [&] { subscriber.acknowledge(sink.position); };
    sink.throws_at = "commit";
    EXPECT_THROW((void)subscriber.receive_into(sink, kPatience), std::runtime_error);
    EXPECT_EQ(sink.words().back(), "abort");
    relay.greet(0, 1);
    relay.streamed(three(1), 0);
    EXPECT_TRUE(subscriber.receive_into(sink, kPatience));
    EXPECT_EQ(sink.words(), (Words{"begin 1", "changes 1", "changes 2", "changes 3", "commit"}));
    EXPECT_EQ(expect_ack(relay, 1).frame.a, 1U);
}

TEST(ClientStreamed, WhatTheSinkRefusesComesAgain) {
    // Rule: what throws in the sink passes through after abort(), exactly one for a begin(), and the transaction begins
    // again, a small one as well.
    for (const std::string word : {"begin 2", "changes 1", "changes 3", "commit"}) {
        FakeRelay relay;
        Subscriber subscriber(options_for(relay));
        relay.greet(0, 3);
        relay.batch(0, 1, {1});
        relay.streamed(three(2), 1);
        RecordingSink sink;
        sink.throws_at = "changes 1";
        EXPECT_THROW((void)subscriber.receive_into(sink, kPatience), std::runtime_error);
        EXPECT_EQ(sink.words(), (Words{"begin 1", "changes 1", "abort"}));
        EXPECT_TRUE(subscriber.receive_into(sink, kPatience)) << "no new session is needed for a small one";
        EXPECT_EQ(sink.words(), (Words{"begin 1", "changes 1", "commit"}));
        subscriber.acknowledge(sink.position);
        sink.throws_at = word;
        EXPECT_THROW((void)subscriber.receive_into(sink, kPatience), std::runtime_error);
        const Words words = sink.words();
        EXPECT_EQ(std::count(words.begin(), words.end(), "abort"), word == "begin 2" ? 0 : 1) << word;
        relay.greet(1, 3);
        relay.streamed(three(2), 1);
        relay.batch(2, 3, {3});
        EXPECT_TRUE(subscriber.receive_into(sink, kPatience)) << word;
        EXPECT_EQ(sink.words(), (Words{"begin 2", "changes 1", "changes 2", "changes 3", "commit"})) << word;
        EXPECT_EQ(receive(subscriber, 1), (Numbers{3}));
    }
}

TEST(ClientStreamed, IsAbortedOnceWhenTheSessionBreaks) {
    // Rule: at whatever part the session ends, and however, abort() comes once, in receive_into(); then it begins
    // again.
    const std::vector<std::function<void(FakeRelay&)>> ends = {
        [](FakeRelay& relay) { relay.error(301, "the session is over", relay.session); },
        [](FakeRelay& relay) { relay.close(), relay.reopen(); },
        [](FakeRelay& relay) { relay.send(Kind::kBye, 0, 1, "\x81\x01\xa1x"); },
        [](FakeRelay& relay) { relay.error(402, "the database is down", relay.session); },
        [](FakeRelay& relay) { relay.send(Kind::kPing, 1, relay.sent + 1); },
        [](FakeRelay& relay) { relay.part(1, 7, insert(2)); },
    };
    for (size_t at = 0; at < ends.size(); ++at) {
        for (const size_t parts : {0, 2}) {
            FakeRelay relay;
            Subscriber subscriber(options_for(relay));
            relay.greet(0, 1);
            relay.begin(three(1), 0);
            Words seen{"begin 1"};
            for (size_t part = 0; part < parts; ++part) {
                relay.part(1, part, insert(static_cast<int64_t>(part) + 1));
                seen.push_back("changes " + std::to_string(part + 1));
            }
            RecordingSink sink;
            EXPECT_EQ(take_words(subscriber, sink, seen.size()), seen) << at;
            ends[at](relay);
            EXPECT_EQ(take_words(subscriber, sink, 1), (Words{"abort"})) << at;
            relay.greet(0, 1);
            relay.streamed(three(1), 0);
            EXPECT_TRUE(subscriber.receive_into(sink, kPatience)) << at;
            EXPECT_EQ(sink.words(), (Words{"begin 1", "changes 1", "changes 2", "changes 3", "commit"})) << at;
        }
    }
}

TEST(ClientStreamed, ItsEndOutlivesTheSession) {
    // Rule: a transaction that came to its end is handed over although the connection broke; what began behind it is
    // not.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 2);
    RecordingSink sink;
    relay.begin(three(1), 0);
    EXPECT_EQ(take_words(subscriber, sink, 1), (Words{"begin 1"}));
    relay.part(1, 0, insert(1) + insert(2) + insert(3));
    relay.end(1);
    relay.begin(three(2), 1);
    relay.part(2, 0, insert(1));
    relay.send(Kind::kPing, 2, relay.sent);
    relay.expect(Kind::kPong);
    relay.close();
    EXPECT_TRUE(eventually([&] { return !subscriber.trouble().empty(); }));
    EXPECT_TRUE(subscriber.receive_into(sink, kPatience));
    EXPECT_EQ(sink.words(), (Words{"changes 1 2 3", "commit"}));
    EXPECT_FALSE(subscriber.receive_into(sink, milliseconds(50)));
    EXPECT_EQ(sink.words(), Words{});
}

TEST(ClientStreamed, StopAborts) {
    // Rule: after stop() the next call of receive_into() aborts what is under way, once, and not the library's thread.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 1);
    relay.begin(three(1), 0);
    RecordingSink sink;
    EXPECT_EQ(take_words(subscriber, sink, 1), (Words{"begin 1"}));
    std::thread stopper([&] { subscriber.stop(); });
    stopper.join();
    EXPECT_EQ(sink.words(), Words{});
    EXPECT_FALSE(subscriber.receive_into(sink, milliseconds(0)));
    EXPECT_FALSE(subscriber.receive_into(sink, milliseconds(0)));
    EXPECT_EQ(sink.words(), (Words{"abort"}));
}

TEST(ClientStreamed, ARefusalAborts) {
    // Rule: where the subscription ends inside of a transaction, it is aborted before the error is thrown.
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 1);
    relay.begin(three(1), 0);
    RecordingSink sink;
    EXPECT_EQ(take_words(subscriber, sink, 1), (Words{"begin 1"}));
    relay.error(501, "corrupt", relay.session, 1);
    EXPECT_THROW(
        {
            while (!subscriber.receive_into(sink, kPatience)) {
            }
        },
        Refused);
    EXPECT_EQ(sink.words(), (Words{"abort"}));
    EXPECT_THROW((void)subscriber.receive_into(sink, kPatience), Refused);
    EXPECT_EQ(sink.words(), Words{});
}

TEST(ClientStreamed, GoesOnWithASinkWhereReceiveGaveUp) {
    // Rule: what receive() has put by when its time is over is not lost for a sink, nor for the next receive().
    FakeRelay relay;
    Subscriber subscriber(options_for(relay));
    relay.greet(0, 2);
    for (const uint64_t number : {1, 2}) {
        relay.begin(three(number), number - 1);
        relay.part(number, 0, insert(1) + insert(2));
        relay.send(Kind::kPing, 2, relay.sent);
        relay.expect(Kind::kPong);
        for (int i = 0; i < 4; ++i) EXPECT_FALSE(subscriber.receive(milliseconds(5)));
        relay.part(number, 1, insert(3));
        relay.end(number);
        if (number == 1) {
            RecordingSink sink;
            EXPECT_TRUE(subscriber.receive_into(sink, kPatience));
            EXPECT_EQ(sink.words(), (Words{"begin 1", "changes 1 2 3", "commit"}));
        } else {
            EXPECT_EQ(receive(subscriber, 1), (Numbers{2}));
        }
    }
}

TEST(ClientStreamed, ReceiveHasALimit) {
    // Rule: receive() takes no more of a transaction in parts than it was allowed, and says what to do instead.
    FakeRelay relay;
    Options options = options_for(relay);
    options.max_transaction_bytes = 2 * insert(1).size();
    Subscriber subscriber(options);
    relay.greet(0, 1);
    relay.streamed(three(1), 0);
    try {
        (void)subscriber.receive(kPatience);
        ADD_FAILURE() << "it came";
    } catch (const Error& error) {
        EXPECT_NE(error.hint().find("receive_into"), std::string::npos);
    }
    EXPECT_THROW((void)subscriber.receive(milliseconds(0)), Error) << "from then on the same again";
}

TEST(ClientStreamed, IsNotHandedOverTwice) {
    // Rule: one that was handed over and comes again, its acknowledgement lost, is taken from the wire and dropped.
    FakeRelay relay;
    Options options = options_for(relay);
    options.window = 64 * 1024;
    Subscriber subscriber(options);
    relay.greet(0, 2);
    Streamed wide{.number = 1, .changes = {}};
    for (int64_t id = 1; id <= 10; ++id) wide.changes.push_back(insert(id, std::string(5000, 'a')));
    relay.streamed(wide, 0);
    EXPECT_EQ(receive(subscriber, 1, false), (Numbers{1}));
    relay.error(301, "the session is over", relay.session);
    relay.greet(0, 2);
    relay.streamed(wide, 0);
    relay.batch(1, 2, {2});
    EXPECT_EQ(receive(subscriber, 1), (Numbers{2}));
    EXPECT_EQ(expect_ack(relay, 2).frame.b, relay.sent + options.window) << "what was dropped is consumed";
}

TEST(ClientStreamed, GrantsPartByPart) {
    // Rule: parts count against the window as batches do, and credit comes back as they are taken.
    FakeRelay relay;
    Options options = options_for(relay);
    options.window = 64 * 1024;
    Subscriber subscriber(options);
    relay.greet(0, 1);
    const uint64_t shapes = relay.sent;
    Streamed wide{.number = 1, .changes = {}};
    for (int64_t id = 1; id <= 2; ++id) wide.changes.push_back(insert(id, std::string(20000, 'a')));
    relay.begin(wide, 0);
    const uint64_t begun = relay.sent;
    relay.part(1, 0, wide.changes[0]);
    const uint64_t first = relay.sent;
    relay.part(1, 1, wide.changes[1]);
    EXPECT_EQ(relay.expect(Kind::kAck).frame.b, shapes + options.window);
    // Answered once all before it has come.
    relay.send(Kind::kPing, 1, relay.sent);
    relay.expect(Kind::kPong);
    RecordingSink sink;
    while (sink.words().empty()) (void)subscriber.receive_into(sink, milliseconds(0));
    EXPECT_FALSE(subscriber.receive_into(sink, milliseconds(0))) << "a call without time takes a piece";
    EXPECT_EQ(sink.words().size(), 1U);
    EXPECT_LT(begun, first);
    for (uint64_t granted = 0; granted < first + options.window;) granted = relay.expect(Kind::kAck).frame.b;
    (void)take_words(subscriber, sink, 1);
    for (uint64_t granted = 0; granted < relay.sent + options.window;) {
        const Heard ack = relay.expect(Kind::kAck);
        EXPECT_EQ(ack.frame.a, 0U);
        EXPECT_LE(ack.frame.b, relay.sent + options.window);
        granted = ack.frame.b;
    }
}

}  // namespace
}  // namespace paysync

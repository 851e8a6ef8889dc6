// One session a subscriber, ended by silence; acknowledgements never go back; a head is published once it is durable.
#include <gtest/gtest.h>

#include "relay/calls.hpp"
#include "relay/head_gate.hpp"
#include "relay/identity.hpp"
#include "relay/protocol.hpp"
#include "relay/sessions.hpp"

namespace paysync::relay {
namespace {

TEST(RelaySessions, AnotherProcessMustChallengeTheOldOne) {
    Sessions sessions;
    EXPECT_EQ(admit(nullptr, "peer", 1), Admittance::kWelcome);
    Session& session = sessions.add("peer", "ledger", false, 65536, Time{});
    session.instance = 1;
    EXPECT_EQ(admit(&session, "other", 1), Admittance::kReplace);
    EXPECT_EQ(admit(&session, "peer", 2), Admittance::kReplace);
    EXPECT_EQ(admit(&session, "other", 2), Admittance::kChallenge);
    sessions.end(session, "test");
    EXPECT_EQ(admit(&session, "other", 2), Admittance::kWelcome);
}

TEST(RelaySessions, AnEndedSessionIsNotFoundAndDoesNotHideItsSuccessor) {
    Sessions sessions;
    int ended = 0;
    sessions.on_end = [&ended](Session&) { ended += 1; };
    Session& old = sessions.add("a", "ledger", false, 65536, Time{});
    sessions.end(old, "test");
    sessions.end(old, "test");
    EXPECT_EQ(ended, 1);
    EXPECT_EQ(sessions.by_subscriber("ledger"), nullptr);
    Session& successor = sessions.add("b", "ledger", false, 65536, Time{});
    EXPECT_NE(successor.id, old.id);
    sessions.sweep();
    EXPECT_EQ(sessions.by_subscriber("ledger"), &successor);
    EXPECT_EQ(sessions.by_peer("a"), nullptr);
}

TEST(RelaySessions, SilenceBringsAPingAndThenTheEnd) {
    Sessions sessions;
    const Time start{seconds(1000)};
    Session& session = sessions.add("a", "ledger", false, 65536, start);
    int pings = 0;
    const auto ping = [&pings](Session&) { pings += 1; };
    sessions.check(start + milliseconds(1900), ping);
    EXPECT_EQ(pings, 0);
    sessions.check(start + seconds(2), ping);
    sessions.check(start + milliseconds(2100), ping);
    EXPECT_EQ(pings, 1);
    session.heard = start + seconds(3);
    sessions.check(start + seconds(12), ping);
    EXPECT_FALSE(session.ended);
    sessions.check(start + seconds(13), ping);
    EXPECT_TRUE(session.ended);
}

TEST(RelaySessions, AnAcknowledgementNeverGoesBackAndNeverRunsAhead) {
    Session session("a", 1, 65536, Time{});
    session.number = 10;
    bool moved = false;
    EXPECT_EQ(acknowledge(session, 7, moved), Progress::kFine);
    EXPECT_TRUE(moved);
    EXPECT_EQ(acknowledge(session, 5, moved), Progress::kFine);
    EXPECT_FALSE(moved);
    EXPECT_EQ(session.acked, 7U);
    EXPECT_EQ(acknowledge(session, 11, moved), Progress::kAckRange);
    EXPECT_EQ(session.acked, 7U);
}

TEST(RelayOffenders, TheFifthBadFrameIsTheLast) {
    Offenders offenders;
    for (int i = 1; i < Offenders::kMostBadFrames; ++i) {
        EXPECT_EQ(offenders.count("a"), i);
        EXPECT_FALSE(offenders.is_ignored("a"));
    }
    offenders.count("a");
    EXPECT_TRUE(offenders.is_ignored("a"));
    EXPECT_FALSE(offenders.is_ignored("b"));
}

TEST(RelayOffenders, ManyConnectionsDoNotFillTheMemory) {
    Offenders offenders;
    for (int i = 0; i < 5; ++i) offenders.count("first");
    for (int i = 0; i < 10000; ++i) offenders.count(std::to_string(i));
    EXPECT_FALSE(offenders.is_ignored("first"));
}

TEST(RelayHeadGate, NothingIsPublishedUntilALaterWriteIsDurable) {
    HeadGate gate;
    gate.lead(5, false);
    EXPECT_EQ(gate.published(), 5U);
    gate.tick(8, true);
    EXPECT_EQ(gate.published(), 5U);
    EXPECT_EQ(gate.seen(), 8U);
    gate.tick(8, false);  // found nothing, so wrote nothing
    EXPECT_EQ(gate.published(), 5U);
    gate.tick(9, false);
    EXPECT_EQ(gate.published(), 9U);
}

TEST(RelayHeadGate, ALeaderWhoseEpochIsNotDurablePublishesNothing) {
    HeadGate gate;
    gate.lead(5, true);
    EXPECT_EQ(gate.published(), 0U);
    gate.tick(6, false);
    EXPECT_EQ(gate.published(), 6U);
}

TEST(RelayCalls, TheNumberOfARefusalIsTheLastInItsDetail) {
    EXPECT_EQ(number_in("The stream stands at number 184467."), 184467U);
    EXPECT_EQ(number_in("Epoch 3 ended at 12."), 12U);
    EXPECT_EQ(number_in("No number."), 0U);
    EXPECT_EQ(number_in("99999999999999999999999"), 0U);
    EXPECT_EQ(number_in(""), 0U);
}

TEST(RelayIdentity, NamesAreThoseOfTheProtocol) {
    for (const char* const good : {"a", "ledger", "0x", "_a", "a-b.c_d"}) EXPECT_TRUE(is_subscriber_name(good)) << good;
    for (const char* const bad : {"", "-a", ".a", "A", "a b", "a\n", "*", "ä"})
        EXPECT_FALSE(is_subscriber_name(bad)) << bad;
    EXPECT_TRUE(is_subscriber_name(std::string(63, 'a')));
    EXPECT_FALSE(is_subscriber_name(std::string(64, 'a')));
    EXPECT_TRUE(is_ephemeral_name("*"));
}

TEST(RelayAcknowledger, WhatAnEarlierRevisionAppliedDoesNotCount) {
    // Rule: after a replay a subscriber must not go on behind what it had acknowledged before.
    Worker worker("", "test");
    Sessions sessions;
    Acknowledger acknowledger(worker, sessions);
    Session session("a", 1, 65536, Time{});
    session.subscriber = "ledger";
    session.revision = 1;
    session.acked = 10;
    acknowledger.note(session);
    EXPECT_EQ(acknowledger.unwritten("ledger", 1), 10U);
    EXPECT_EQ(acknowledger.unwritten("ledger", 2), 0U);
    session.revision = 2;
    session.acked = 4;
    acknowledger.note(session);
    EXPECT_EQ(acknowledger.unwritten("ledger", 2), 4U);
    EXPECT_EQ(acknowledger.unwritten("ledger", 1), 0U);
}

}  // namespace
}  // namespace paysync::relay

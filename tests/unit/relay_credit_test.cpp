// Credit is absolute, never goes back, and lets one message that is larger than the window pass alone.
#include <gtest/gtest.h>

#include "relay/credit.hpp"

namespace paysync::relay {
namespace {

constexpr uint64_t kWindow = 64 * 1024;

TEST(RelayCredit, SendsUpToTheLimitAndNotAByteMore) {
    Credit credit(kWindow);
    EXPECT_TRUE(credit.allows(kWindow));
    credit.spend(kWindow - 10);
    EXPECT_TRUE(credit.allows(10));
    EXPECT_FALSE(credit.allows(11));
}

TEST(RelayCredit, AMessageLargerThanTheWindowPassesOnlyAlone) {
    Credit credit(kWindow);
    EXPECT_TRUE(credit.allows(10 * kWindow));
    credit.spend(1);
    EXPECT_FALSE(credit.allows(10 * kWindow));
    credit.grant(kWindow + 1);
    EXPECT_TRUE(credit.allows(10 * kWindow));
    credit.spend(10 * kWindow);
    EXPECT_FALSE(credit.allows(1));
    credit.grant(1 + 10 * kWindow + kWindow);
    EXPECT_TRUE(credit.allows(kWindow));
}

TEST(RelayCredit, AGrantThatGoesBackIsIgnored) {
    Credit credit(kWindow);
    credit.spend(100);
    credit.grant(kWindow + 100);
    credit.grant(5);
    EXPECT_TRUE(credit.allows(kWindow));
}

TEST(RelayCredit, AGrantBeyondWhatWasSentIsCutToTheWindow) {
    Credit credit(kWindow);
    credit.spend(100);
    credit.grant(UINT64_MAX);
    EXPECT_TRUE(credit.allows(kWindow));
    credit.spend(kWindow);
    EXPECT_FALSE(credit.allows(1));
}

TEST(RelayCredit, ManySmallMessagesStayFarBelowTheQueuesOfTheSocket) {
    Credit credit(kWindow);
    int sent = 0;
    while (credit.allows(1) && sent < 5000) {
        credit.spend(1);
        sent += 1;
    }
    EXPECT_EQ(sent, 1024);
    credit.grant(kWindow + 1);
    EXPECT_TRUE(credit.allows(1));
}

}  // namespace
}  // namespace paysync::relay

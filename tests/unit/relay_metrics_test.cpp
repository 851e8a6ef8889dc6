// What stands in the metrics: growth of lags, states that are not known, escapes; and the pages around them.
#include <gtest/gtest.h>

#include "relay/exposition.hpp"
#include "relay/failure.hpp"
#include "relay/http_address.hpp"
#include "relay/pages.hpp"

namespace paysync::relay {
namespace {

const Time kNow = Clock::now();

std::string text_of(const Sample& sample, Time now = kNow) {
    Report report;
    report.sample = std::make_shared<const Sample>(sample);
    return metrics_text(report, HttpCounters{}, now);
}

Sample sample_of(std::vector<SubscriberSample> subscribers, Duration age = Duration{}) {
    Sample sample;
    sample.at = kNow - age;
    sample.subscribers = std::move(subscribers);
    return sample;
}

// The value of a series, as text; empty where there is none.
std::string value_of(const std::string& text, const std::string& series) {
    const size_t at = text.find("\n" + series + " ");
    if (at == std::string::npos) return "";
    const size_t value = at + series.size() + 2;
    return text.substr(value, text.find('\n', value) - value);
}

TEST(RelayMetrics, ALagGrowsWithTheAgeOfWhatTheDatabaseSaid) {
    const std::string text = text_of(sample_of({{"mirror", "away", 3, 90, 1500}}, seconds(2)));
    EXPECT_EQ(value_of(text, "paysync_lag_seconds{subscriber=\"mirror\"}"), "3.5");
    EXPECT_EQ(value_of(text, "paysync_lag_transactions{subscriber=\"mirror\"}"), "3");
    EXPECT_EQ(value_of(text, "paysync_observation_age_seconds"), "2");
}

TEST(RelayMetrics, WhoHadEverythingHasNoLagUntilTheSilenceIsOne) {
    const std::vector<SubscriberSample> mirror = {{"mirror", "streaming", 0, 0, 0}};
    const std::string series = "paysync_lag_seconds{subscriber=\"mirror\"}";
    EXPECT_EQ(value_of(text_of(sample_of(mirror, seconds(5))), series), "0");
    EXPECT_EQ(value_of(text_of(sample_of(mirror, seconds(7))), series), "7");
}

TEST(RelayMetrics, AStateThatWasNotHeardOfForLongIsUnknown) {
    const std::vector<SubscriberSample> mirror = {{"mirror", "streaming", 0, 0, 0}};
    const auto series = [](const char* state) {
        return std::string("paysync_subscriber_state{subscriber=\"mirror\",state=\"") + state + "\"}";
    };
    const std::string fresh = text_of(sample_of(mirror));
    EXPECT_EQ(value_of(fresh, series("streaming")), "1");
    EXPECT_EQ(value_of(fresh, series("unknown")), "0");
    const std::string stale = text_of(sample_of(mirror, seconds(7)));
    EXPECT_EQ(value_of(stale, series("streaming")), "0");
    EXPECT_EQ(value_of(stale, series("unknown")), "1");
    EXPECT_EQ(value_of(text_of(sample_of({{"mirror", "brand_new", 0, 0, 0}})), series("brand_new")), "1");
}

TEST(RelayMetrics, LabelValuesAreEscaped) {
    const std::string text = text_of(sample_of({{"a\"b\\c\nd", "away", 1, 1, 1000}}));
    EXPECT_EQ(value_of(text, "paysync_lag_seconds{subscriber=\"a\\\"b\\\\c\\nd\"}"), "1");
}

TEST(RelayMetrics, WithoutASampleNothingIsSaidOfSubscribersOrOutbox) {
    Report report;
    const std::string text = metrics_text(report, HttpCounters{}, kNow);
    EXPECT_EQ(text.find("paysync_lag"), std::string::npos);
    EXPECT_EQ(text.find("paysync_outbox_bytes"), std::string::npos);
    EXPECT_EQ(value_of(text, "paysync_relay_is_leader"), "0");
}

TEST(RelayMetrics, TheAgeOfTheLastTickGrowsAndIsAbsentBeforeTheFirst) {
    Sample sample = sample_of({}, seconds(3));
    EXPECT_EQ(value_of(text_of(sample), "paysync_last_tick_age_seconds"), "");
    sample.last_tick_age_ms = 500;
    EXPECT_EQ(value_of(text_of(sample), "paysync_last_tick_age_seconds"), "3.5");
}

Page page(const char* path, const Vitals& vitals, Time now) { return page_at(path, vitals, HttpCounters{}, now); }

TEST(RelayPages, ReadinessGivesItsReason) {
    Vitals vitals;
    vitals.turned(kNow);
    Report report;
    for (const Readiness readiness : {Readiness::kStarting, Readiness::kStandby, Readiness::kDatabaseAway,
                                      Readiness::kCheckingHistory, Readiness::kDraining}) {
        report.readiness = readiness;
        vitals.publish(report);
        EXPECT_EQ(page("/readyz", vitals, kNow).status, 503U);
        EXPECT_EQ(page("/readyz", vitals, kNow).body, std::string(reason_not_ready(readiness)) + "\n");
        EXPECT_EQ(page("/healthz", vitals, kNow).status, 200U);
    }
    report.readiness = Readiness::kServing;
    vitals.publish(report);
    EXPECT_EQ(page("/readyz", vitals, kNow).status, 200U);
}

TEST(RelayPages, ALoopThatHangsIsNeitherHealthyNorReady) {
    Vitals vitals;
    Report report;
    report.readiness = Readiness::kServing;
    vitals.publish(report);
    vitals.turned(kNow);
    EXPECT_EQ(page("/healthz", vitals, kNow + milliseconds(4900)).status, 200U);
    for (const char* const path : {"/healthz", "/readyz"}) {
        const Page hanging = page(path, vitals, kNow + milliseconds(6100));
        EXPECT_EQ(hanging.status, 503U);
        EXPECT_EQ(hanging.body, "the loop has not turned for 6 s\n");
    }
}

TEST(RelayHttpAddress, BothFamiliesAndBack) {
    for (const char* const text : {"127.0.0.1:7421", "0.0.0.0:0", "[::1]:7421", "[::]:80"}) {
        EXPECT_EQ(format_http_address(parse_http_address(text)), text);
    }
    EXPECT_EQ(format_http_address(parse_http_address("localhost:1")), "127.0.0.1:1");
}

TEST(RelayHttpAddress, WhatIsNoAddressIsRefused) {
    for (const char* const text : {"7421", ":7421", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:http",
                                   "::1:7421", "[::1]", "[x]:1", "host.example:1", "127.0.0.1:-1", ""}) {
        EXPECT_THROW((void)parse_http_address(text), Failure) << text;
    }
}

}  // namespace
}  // namespace paysync::relay

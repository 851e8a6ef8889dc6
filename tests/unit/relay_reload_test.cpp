// SIGHUP takes over what may change, all of it or nothing; log lines are held to their limit, each event for itself.
#include <gtest/gtest.h>

#include "relay/failure.hpp"
#include "relay/log.hpp"
#include "relay/metrics.hpp"
#include "relay/reload.hpp"

namespace paysync::relay {
namespace {

using Keys = std::vector<std::string_view>;

Options other_options() {
    Options other;
    other.dsn = "dbname=other";
    other.bind = "ipc:///tmp/other";
    other.http = "";
    other.window_bytes = 2U << 20;
    other.page_bytes = 1U << 17;
    other.batch_bytes = 1U << 11;
    other.verify = false;
    other.log_level = LogLevel::kError;
    other.log_format = LogFormat::kJson;
    return other;
}

TEST(RelayReload, SizesVerificationAndLogChangeTheRestStays) {
    Options current;
    const Options before;
    const Reloaded outcome = take_over(current, other_options());
    EXPECT_EQ(outcome.changed,
              (Keys{"window_bytes", "page_bytes", "batch_bytes", "verify", "log_level", "log_format"}));
    EXPECT_EQ(outcome.ignored, (Keys{"dsn", "bind", "http"}));
    EXPECT_EQ(current.window_bytes, 2U << 20);
    EXPECT_EQ(current.page_bytes, 1U << 17);
    EXPECT_EQ(current.batch_bytes, 1U << 11);
    EXPECT_FALSE(current.verify);
    EXPECT_EQ(current.dsn, before.dsn);
    EXPECT_EQ(current.bind, before.bind);
    EXPECT_EQ(current.http, before.http);
}

TEST(RelayReload, EveryKeyIsEitherTakenOverOrNamedAsIgnored) {
    Options current;
    const Reloaded outcome = take_over(current, other_options());
    EXPECT_EQ(outcome.changed.size() + outcome.ignored.size(), std::size(kKeys));
}

TEST(RelayReload, NothingNewChangesNothing) {
    Options current;
    const Reloaded outcome = take_over(current, Options{});
    EXPECT_TRUE(outcome.changed.empty());
    EXPECT_TRUE(outcome.ignored.empty());
}

TEST(RelayReload, OptionsThatCannotBeReadChangeNothing) {
    Options current;
    current.window_bytes = 12345678;
    EXPECT_FALSE(reload(current, []() -> Options { throw Failure(kExitUsage, "broken", "detail", "hint"); }));
    EXPECT_FALSE(reload(current, []() -> Options { throw std::runtime_error("no memory"); }));
    EXPECT_EQ(current.window_bytes, 12345678U);
}

TEST(RelayLogLimit, ABurstPassesAndTheRestIsCounted) {
    LogLimit limit(3);
    const Time start = Clock::now();
    int passed = 0;
    for (int i = 0; i < 10; ++i) passed += limit.allow(start + milliseconds(i)) ? 1 : 0;
    EXPECT_EQ(passed, 3);
    EXPECT_FALSE(limit.is_due(start + seconds(9)));
    EXPECT_TRUE(limit.is_due(start + seconds(10)));
    EXPECT_TRUE(limit.allow(start + seconds(10)));
    EXPECT_EQ(limit.take_suppressed(), 7U);
    EXPECT_EQ(limit.take_suppressed(), 0U);
    EXPECT_FALSE(limit.is_due(start + seconds(30)));
}

// The lines that `write` makes.
std::vector<std::string> lines_of(const std::function<void()>& write, LogFormat format = LogFormat::kText) {
    testing::internal::CaptureStderr();
    start_log(LogLevel::kInfo, format);
    write();
    std::istringstream text(testing::internal::GetCapturedStderr());
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
}

TEST(RelayLog, EachEventHasItsOwnLimit) {
    const uint64_t before = counters.lines_suppressed;
    const auto lines = lines_of([] {
        for (int i = 0; i < 50; ++i) log_warning("flood", {{"i", i}});
        log_warning("other_event");
        for (int i = 0; i < 50; ++i) log_info("news", {{"i", i}});
    });
    ASSERT_EQ(lines.size(), 61U);
    EXPECT_NE(lines[10].find("other_event"), std::string::npos);
    EXPECT_EQ(counters.lines_suppressed - before, 40U);
}

TEST(RelayLog, WhatIsNoUtf8IsReplaced) {
    const auto write = [] {
        log_info("bytes", {{"a", "\xc3(\xff\xed\xa0\x80"},
                           {"b", "z\xc3\xbcrich"},
                           {"c",
                            "\xc2\x9b"
                            "2J\xf0\x9f"}});
    };
    const auto json = lines_of(write, LogFormat::kJson);
    ASSERT_EQ(json.size(), 1U);
    EXPECT_NE(json[0].find(R"("a":"\ufffd(\ufffd\ufffd\ufffd\ufffd","b":"zürich","c":"\u009b2J\ufffd\ufffd"})"),
              std::string::npos)
        << json[0];
    const auto text = lines_of(write);
    ASSERT_EQ(text.size(), 1U);
    EXPECT_NE(text[0].find(R"(a="\ufffd(\ufffd\ufffd\ufffd\ufffd" b="zürich" c="\u009b2J\ufffd\ufffd")"),
              std::string::npos)
        << text[0];
}

TEST(RelayLog, WhatWasHeldBackIsToldOnceThePeriodIsOver) {
    const auto lines = lines_of([] {
        for (int i = 0; i < 25; ++i) log_error("storm");
        log_suppressed(Clock::now());
        log_suppressed(Clock::now() + seconds(11));
        log_suppressed(Clock::now() + seconds(11));
    });
    int told = 0;
    for (const std::string& line : lines) {
        told += line.find("warning lines_suppressed of=storm suppressed=15") != std::string::npos ? 1 : 0;
    }
    EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace paysync::relay

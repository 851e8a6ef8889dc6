// Values as JSON and times as text; what is expected of times was printed by PostgreSQL 15.
#include "wire/json.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "clients/cpp/floats.hpp"

namespace paysync::wire {
namespace {

using namespace std::string_literals;

std::string timestamp(int64_t microseconds, Bytes zone = "+00") {
    std::string text;
    put_timestamp(text, microseconds, ' ', zone, false);
    return text;
}

TEST(WireTimestamp, PrintsAsPostgresqlDoes) {
    // Rule: the text of a timestamptz is PostgreSQL's in ISO style, from its first moment to its last.
    const std::pair<int64_t, const char*> cases[] = {
        {0, "2000-01-01 00:00:00+00"},
        {-1, "1999-12-31 23:59:59.999999+00"},
        {-946684800000000, "1970-01-01 00:00:00+00"},
        {848743200123456, "2026-11-23 10:00:00.123456+00"},
        {848743200100000, "2026-11-23 10:00:00.1+00"},
        {848743200120300, "2026-11-23 10:00:00.1203+00"},
        {5140800000000, "2000-02-29 12:00:00+00"},
        {-3150576000500000, "1900-02-28 23:59:59.5+00"},
        {-3150576000000000, "1900-03-01 00:00:00+00"},
        {789004799000001, "2024-12-31 23:59:59.000001+00"},
        {3160771200000000, "2100-02-28 00:00:00+00"},
        {3160857600000000, "2100-03-01 00:00:00+00"},
        {-63082281600000000, "0001-01-01 00:00:00+00"},
        {-63082368000000000, "0001-12-31 00:00:00+00 BC"},
        {-63113904000000000, "0001-01-01 00:00:00+00 BC"},
        {-64464463799750000, "0044-03-15 12:30:00.25+00 BC"},
        {-63235123200000000, "0005-02-28 00:00:00+00 BC"},
        {-63235036800000000, "0005-02-29 00:00:00+00 BC"},
        {-63234950400000000, "0005-03-01 00:00:00+00 BC"},
        {-211813488000000000, "4714-11-24 00:00:00+00 BC"},
        {-211813487999999999, "4714-11-24 00:00:00.000001+00 BC"},
        {252455615999999999, "9999-12-31 23:59:59.999999+00"},
        {252455616000000000, "10000-01-01 00:00:00+00"},
        {3092564019723040000, "99999-06-15 01:02:03.04+00"},
        {9223371331199999999, "294276-12-31 23:59:59.999999+00"},
        {-59989680000000000, "0099-01-01 00:00:00+00"},
        {-31588444800000000, "0999-01-01 00:00:00+00"},
        {-13166409600000000, "1582-10-10 00:00:00+00"},
        {536544000000000, "2017-01-01 00:00:00+00"},
        {-62982576000000000, "0004-02-29 00:00:00+00"},
        {-50486025600000000, "0400-02-29 00:00:00+00"},
        {-59953046400000000, "0100-03-01 00:00:00+00"},
        {9083422758350937600, "289842-03-17 20:25:50.9376+00"},
        {1012364474933808000, "34080-07-20 10:08:53.808+00"},
        {4355134455658262400, "140008-09-18 19:00:58.2624+00"},
        {3945313826129548800, "127022-01-07 11:15:29.5488+00"},
        {7851480183113731200, "250803-07-03 05:31:53.7312+00"},
        {INT64_MAX, "infinity"},
        {INT64_MIN, "-infinity"},
    };
    for (const auto& [microseconds, text] : cases) EXPECT_EQ(timestamp(microseconds), text) << microseconds;
    EXPECT_EQ(timestamp(-64464463799750000, ""), "0044-03-15 12:30:00.25 BC");
}

TEST(WireTimestamp, IsDefinedForEveryNumber) {
    // Rule: numbers that no PostgreSQL timestamp has give some text, never undefined behaviour.
    for (const int64_t number : {INT64_MIN + 1, INT64_MIN + 86400000000, INT64_MAX - 1, int64_t{-1} << 62}) {
        EXPECT_FALSE(timestamp(number).empty());
    }
    EXPECT_EQ(timestamp(INT64_MIN + 1), "290279-12-22 19:59:05.224193+00 BC");
}

bool is_leap(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

TEST(WireTimestamp, CountsDaysAsACalendarDoes) {
    // Rule: day after day through two 400-year cycles around the turn of the era, no date is skipped or repeated.
    const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day = -146097 * 6;  // 400-01-01 BC, astronomical year -400
    detail::CivilDate date{-400, 1, 1};
    for (int i = 0; i < 2 * 146097 + 400; ++i, ++day) {
        const detail::CivilDate got = detail::civil_date(day);
        ASSERT_EQ(got.year, date.year);
        ASSERT_EQ(got.month, date.month);
        ASSERT_EQ(got.day, date.day);
        const unsigned length =
            static_cast<unsigned>(month_days[date.month - 1]) + (date.month == 2 && is_leap(date.year) ? 1 : 0);
        if (++date.day > length) {
            date.day = 1;
            if (++date.month > 12) date.month = 1, date.year += 1;
        }
    }
}

TEST(WireTimestamp, ClockAlwaysHasSixDigits) {
    // Rule: a transaction's clock is ISO 8601 in UTC with microseconds.
    std::string text;
    put_clock(text, 848743200123456);
    text += ' ';
    put_clock(text, 848743200000000);
    text += ' ';
    put_clock(text, 848743200000001);
    EXPECT_EQ(text, "2026-11-23T10:00:00.123456Z 2026-11-23T10:00:00.000000Z 2026-11-23T10:00:00.000001Z");
}

TEST(WireJson, EscapesSoThatAnyParserGivesTheTextBack) {
    // Rule: a JSON string gives back exactly the UTF-8 text, whatever control characters it has.
    std::string every;
    for (int c = 0; c < 128; ++c) every += static_cast<char>(c);
    every += "größe 💶 \xe2\x80\xa8";
    for (const std::string& text : {""s, "\""s, "\\"s, "a\nb"s, "\0"s, "\x1f\x7f"s, every, every + every}) {
        std::string json;
        put_json_string(json, Bytes(text));
        EXPECT_EQ(nlohmann::json::parse(json).get<std::string>(), text);
        EXPECT_EQ(json.find('\n'), std::string::npos);
    }
    std::string json;
    put_json_string(json, Bytes("a\"b\\c\n\t\r\x01"));
    EXPECT_EQ(json, R"("a\"b\\c\n\t\r\u0001")");
}

std::string value(Form form, Bytes type, const std::string& bytes) {
    std::string json;
    Reader reader{Bytes(bytes)};
    if (!put_json_value<ShortestFloats>(json, reader, Column{"c", type, form})) return "refused";
    return reader.at_end() ? json : json + " and more";
}

TEST(WireJson, WritesEveryForm) {
    // Rule: bigint and numeric are strings, NULL is null, times and json are text.
    EXPECT_EQ(value(Form::kInt, "bigint", "\x01"), "\"1\"");
    EXPECT_EQ(value(Form::kInt, "bigint", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00"s), "\"-9223372036854775808\"");
    EXPECT_EQ(value(Form::kInt, "integer", "\xff"), "-1");
    EXPECT_EQ(value(Form::kBool, "boolean", "\xc3"), "true");
    EXPECT_EQ(value(Form::kBool, "boolean", "\xc2"), "false");
    EXPECT_EQ(value(Form::kNumeric, "numeric(12,2)",
                    "\xa5"
                    "12.50"),
              "\"12.50\"");
    EXPECT_EQ(value(Form::kNumeric, "numeric", "\xa3NaN"), "\"NaN\"");
    EXPECT_EQ(value(Form::kText, "text",
                    "\xa2"
                    "a\n"),
              "\"a\\n\"");
    EXPECT_EQ(value(Form::kJson, "jsonb", "\xa8{\"a\": 1}"), "\"{\\\"a\\\": 1}\"");
    EXPECT_EQ(value(Form::kTimestamp, "timestamp without time zone", "\x00"s), "\"2000-01-01 00:00:00\"");
    EXPECT_EQ(value(Form::kTimestampTz, "timestamp with time zone", "\x00"s), "\"2000-01-01 00:00:00+00\"");
    EXPECT_EQ(value(Form::kTimestampTz, "timestamp with time zone", "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"),
              "\"infinity\"");
    EXPECT_EQ(value(Form::kUuid, "uuid",
                    "\xc4\x10"
                    "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"s),
              "\"00010203-0405-0607-0809-0a0b0c0d0e0f\"");
    EXPECT_EQ(value(Form::kBytes, "bytea", "\xc4\x03\x00\xff'"s), "\"\\\\x00ff27\"");
    EXPECT_EQ(value(Form::kBytes, "bytea", "\xc4\x00"s), "\"\\\\x\"");
    EXPECT_EQ(value(Form::kDate, "date", "\xcd\x24\xea"), "\"2025-11-15\"");
    EXPECT_EQ(value(Form::kDate, "date", "\xd2\xff\xf4\xdb\xf9"), "\"0001-01-01\"");
    EXPECT_EQ(value(Form::kDate, "date", "\xd2\xff\xf4\xdb\xf8"), "\"0001-12-31 BC\"");
    EXPECT_EQ(value(Form::kDate, "date", "\xd2\xff\xda\x97\xa7"), "\"4714-11-24 BC\"");
    EXPECT_EQ(value(Form::kDate, "date", "\xce\x7f\xda\x97\x0c"), "\"5874897-12-31\"");
    EXPECT_EQ(value(Form::kDate, "date", "\xce\x7f\xff\xff\xff"), "\"infinity\"");
    EXPECT_EQ(value(Form::kDate, "date", "\xd2\x80\x00\x00\x00"s), "\"-infinity\"");
    for (uint64_t form = 0; form < 256; ++form) {
        if (!is_form(form)) continue;
        EXPECT_EQ(value(static_cast<Form>(form), "any", "\xc0"), "null");
    }
}

TEST(WireJson, RefusesAValueOfAnotherForm) {
    // Rule: a value that is not of its column's form is refused, never guessed at.
    EXPECT_EQ(value(Form::kInt, "integer", "\xc3"), "refused");
    EXPECT_EQ(value(Form::kInt, "integer", "\xca\x00\x00\x00\x00"s), "refused");
    EXPECT_EQ(value(Form::kInt, "bigint", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "refused");
    EXPECT_EQ(value(Form::kBool, "boolean", "\x01"), "refused");
    EXPECT_EQ(value(Form::kText, "text", "\xc4\x01x"), "refused");
    EXPECT_EQ(value(Form::kUuid, "uuid", "\xc4\x0fxxxxxxxxxxxxxxx"), "refused");
    EXPECT_EQ(value(Form::kNumeric, "numeric", "\x05"), "refused");
    EXPECT_EQ(value(Form::kJson, "json", "\x81\x01\x02"), "refused");
    EXPECT_EQ(value(Form::kTimestamp, "timestamp without time zone", "\xa1x"), "refused");
    EXPECT_EQ(value(Form::kText, "text", ""), "refused");
    EXPECT_EQ(value(Form::kFloat4, "real", "\xcb\x00\x00\x00\x00\x00\x00\x00\x00"s), "refused");
    EXPECT_EQ(value(Form::kFloat8, "double precision", "\xca\x00\x00\x00\x00"s), "refused");
    EXPECT_EQ(value(Form::kFloat8, "double precision", "\x01"), "refused");
    EXPECT_EQ(value(Form::kBytes, "bytea", "\xa1x"), "refused");
    EXPECT_EQ(value(Form::kDate, "date", "\xce\x80\x00\x00\x00"s), "refused");
    EXPECT_EQ(value(Form::kDate, "date", "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"), "refused");
    EXPECT_EQ(value(array_of(Form::kInt), "integer[]", "\x01"), "refused");
    EXPECT_EQ(value(array_of(Form::kText), "text[]", "\x81\x01\x02"), "refused");
    EXPECT_EQ(value(array_of(Form::kText), "text[]", "\x91\x01"), "refused");
    EXPECT_EQ(value(Form::kText, "text", "\x90"), "refused");
}

TEST(WireJson, WritesArraysAsArrays) {
    // Rule: elements are written as values of their form, NULL as null, dimensions as arrays of arrays; an array that
    // came as text is a string.
    EXPECT_EQ(value(array_of(Form::kText), "text[]", "\x90"), "[]");
    EXPECT_EQ(value(array_of(Form::kText), "text[]",
                    "\x93\xa1"
                    "a\xc0\xa0"),
              "[\"a\",null,\"\"]");
    EXPECT_EQ(value(array_of(Form::kInt), "bigint[]", "\x92\x01\xff"), "[\"1\",\"-1\"]");
    EXPECT_EQ(value(array_of(Form::kInt), "integer[]", "\x92\x92\x01\xff\x92\xc0\x02"), "[[1,-1],[null,2]]");
    EXPECT_EQ(value(array_of(Form::kInt), "smallint[]", "\x91\x05"), "[5]");
    EXPECT_EQ(value(array_of(Form::kFloat8), "double precision[]", "\x91\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00"s),
              "[0.5]");
    EXPECT_EQ(value(array_of(Form::kBool), "boolean[]", "\x91\x91\x91\x91\x91\x91\xc3"), "[[[[[[true]]]]]]");
    EXPECT_EQ(value(array_of(Form::kText), "text[]", "\xa7[0:0]=x"), "\"[0:0]=x\"");
}

template <typename Number>
std::string written(Number number) {
    char text[kFloatText];
    return std::string(text, ShortestFloats::write(text, number));
}

TEST(WireJson, FloatsAreTheShortestThatReadBack) {
    // Rule: a float's text reads back as the same bits, has no digit too many, and is a JSON number.
    EXPECT_EQ(written(0.1F), "0.1");
    EXPECT_EQ(written(0.1), "0.1");
    EXPECT_EQ(written(-0.0), "-0");
    EXPECT_EQ(written(100000.0), "100000");
    EXPECT_EQ(written(999999.94F), "999999.94");
    EXPECT_EQ(written(1e6F), "1e+06");
    EXPECT_EQ(written(0.0001), "0.0001");
    EXPECT_EQ(written(1e22), "1e+22");
    const auto json = [](double number) {
        std::string bytes = "\xcb";
        for (int shift = 56; shift >= 0; shift -= 8)
            bytes += static_cast<char>(std::bit_cast<uint64_t>(number) >> shift & 0xff);
        return value(Form::kFloat8, "double precision", bytes);
    };
    EXPECT_EQ(json(NAN), "\"NaN\"");
    EXPECT_EQ(json(INFINITY), "\"Infinity\"");
    EXPECT_EQ(json(-INFINITY), "\"-Infinity\"");
    std::mt19937_64 random(20261123);
    for (int round = 0; round < 100000; ++round) {
        const uint64_t bits = round < 64 ? uint64_t{1} << round : random();
        const auto real = std::bit_cast<double>(bits);
        if (std::isfinite(real)) {
            const std::string text = written(real);
            ASSERT_EQ(std::bit_cast<uint64_t>(std::strtod(text.c_str(), nullptr)), bits) << text;
            ASSERT_TRUE(nlohmann::json::parse(text).is_number());
        }
        const auto half = static_cast<uint32_t>(bits >> 7);
        const auto single = std::bit_cast<float>(half);
        if (std::isfinite(single)) {
            const std::string text = written(single);
            ASSERT_EQ(std::bit_cast<uint32_t>(std::strtof(text.c_str(), nullptr)), half) << text;
            ASSERT_LE(text.size(), kFloatText);
        }
    }
}

}  // namespace
}  // namespace paysync::wire

// Values as JSON, the same for `paysync.peek` in the server and for `paysync tail`: bigint and numeric are always
// strings (no reader rounds them), dates and times are PostgreSQL's ISO text, json is text as it was captured. A sink
// is anything with append(const char*, size_t).
#pragma once

#include "wire/shape.hpp"

namespace paysync::wire {

namespace detail {

template <typename Sink>
void put(Sink& sink, Bytes text) {
    sink.append(text.data(), text.size());
}

// Writes `value` in decimal, padded with zeros to at least `width` digits.
template <typename Sink>
void put_decimal(Sink& sink, uint64_t value, int width = 1) {
    char digits[20];
    int at = 20;
    do {
        digits[--at] = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (20 - at < width) digits[--at] = '0';
    sink.append(digits + at, static_cast<size_t>(20 - at));
}

template <typename Sink>
void put_signed(Sink& sink, int64_t value) {
    if (value < 0) put(sink, "-");
    put_decimal(sink, value < 0 ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value));
}

struct CivilDate {
    int64_t year;  // astronomical: 0 is 1 BC
    unsigned month;
    unsigned day;
};

// Days since 2000-01-01 to a date of the proleptic Gregorian calendar (400-year cycles counted from a March).
inline CivilDate civil_date(int64_t days) {
    const int64_t shifted = days + 730425;  // days since 0000-03-01
    const int64_t cycle = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    const uint64_t day_of_cycle = static_cast<uint64_t>(shifted - cycle * 146097);
    const uint64_t year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36524 - day_of_cycle / 146096) / 365;
    const uint64_t day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    const uint64_t shifted_month = (5 * day_of_year + 2) / 153;
    const unsigned month = static_cast<unsigned>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    return CivilDate{static_cast<int64_t>(year_of_cycle) + cycle * 400 + (month <= 2 ? 1 : 0), month,
                     static_cast<unsigned>(day_of_year - (153 * shifted_month + 2) / 5 + 1)};
}

}  // namespace detail

// The text between quotes of a JSON string. Input is UTF-8; control characters, quote and backslash are escaped.
template <typename Sink>
void put_json_escaped(Sink& sink, Bytes text) {
    static constexpr char kHex[] = "0123456789abcdef";
    size_t from = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        const uint8_t c = static_cast<uint8_t>(text[i]);
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        sink.append(text.data() + from, i - from);
        from = i + 1;
        char escape[6] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
        size_t length = 6;
        if (c == '"' || c == '\\') escape[1] = static_cast<char>(c), length = 2;
        if (c == '\n') escape[1] = 'n', length = 2;
        if (c == '\t') escape[1] = 't', length = 2;
        if (c == '\r') escape[1] = 'r', length = 2;
        sink.append(escape, length);
    }
    sink.append(text.data() + from, text.size() - from);
}

template <typename Sink>
void put_json_string(Sink& sink, Bytes text) {
    detail::put(sink, "\"");
    put_json_escaped(sink, text);
    detail::put(sink, "\"");
}

// Microseconds since 2000-01-01 as text. `separator` stands between date and time, `zone` behind the time. The fraction
// is left out where it is zero and `always_fraction` is false, else its trailing zeros are.
template <typename Sink>
void put_timestamp(Sink& sink, int64_t microseconds, char separator, Bytes zone, bool always_fraction) {
    static constexpr int64_t kDay = int64_t{86400} * 1000000;
    if (microseconds == INT64_MAX) return detail::put(sink, "infinity");
    if (microseconds == INT64_MIN) return detail::put(sink, "-infinity");
    // Rounded down without leaving 64 bits, also for numbers that are no timestamp of PostgreSQL's.
    const bool inside_negative_day = microseconds % kDay < 0;
    const int64_t days = microseconds / kDay - (inside_negative_day ? 1 : 0);
    uint64_t rest = static_cast<uint64_t>(microseconds % kDay + (inside_negative_day ? kDay : 0));
    const detail::CivilDate date = detail::civil_date(days);
    const bool before_christ = date.year <= 0;
    detail::put_decimal(sink, static_cast<uint64_t>(before_christ ? 1 - date.year : date.year), 4);
    detail::put(sink, "-");
    detail::put_decimal(sink, date.month, 2);
    detail::put(sink, "-");
    detail::put_decimal(sink, date.day, 2);
    sink.append(&separator, 1);
    uint64_t fraction = rest % 1000000;
    rest /= 1000000;
    detail::put_decimal(sink, rest / 3600, 2);
    detail::put(sink, ":");
    detail::put_decimal(sink, rest / 60 % 60, 2);
    detail::put(sink, ":");
    detail::put_decimal(sink, rest % 60, 2);
    if (fraction != 0 || always_fraction) {
        int width = 6;
        while (!always_fraction && fraction % 10 == 0) fraction /= 10, width -= 1;
        detail::put(sink, ".");
        detail::put_decimal(sink, fraction, width);
    }
    detail::put(sink, zone);
    if (before_christ) detail::put(sink, " BC");
}

// A transaction's clock as in 2026-11-23T10:00:00.123456Z.
template <typename Sink>
void put_clock(Sink& sink, int64_t microseconds) {
    put_timestamp(sink, microseconds, 'T', "Z", true);
}

// 16 bytes as 8-4-4-4-12 hex digits.
template <typename Sink>
void put_uuid(Sink& sink, Bytes bytes) {
    static constexpr char kHex[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) detail::put(sink, "-");
        const uint8_t byte = static_cast<uint8_t>(bytes[i]);
        const char pair[2] = {kHex[byte >> 4], kHex[byte & 15]};
        sink.append(pair, 2);
    }
}

// Reads one value of `column` and writes it as JSON. False if the value is not of the column's form.
template <typename Sink>
[[nodiscard]] bool put_json_value(Sink& sink, Reader& reader, const Column& column) {
    if (reader.read_nil()) {
        detail::put(sink, "null");
        return true;
    }
    Bytes text;
    int64_t number = 0;
    bool truth = false;
    switch (column.form) {
        case Form::kBool:
            if (!reader.read_bool(truth)) return false;
            detail::put(sink, truth ? "true" : "false");
            return true;
        case Form::kInt: {
            if (!reader.read_int(number)) return false;
            const bool quoted = column.type != "integer" && column.type != "smallint";
            if (quoted) detail::put(sink, "\"");
            detail::put_signed(sink, number);
            if (quoted) detail::put(sink, "\"");
            return true;
        }
        case Form::kTimestamp:
        case Form::kTimestampTz: {
            if (!reader.read_int(number)) return false;
            detail::put(sink, "\"");
            put_timestamp(sink, number, ' ', column.form == Form::kTimestampTz ? "+00" : "", false);
            detail::put(sink, "\"");
            return true;
        }
        case Form::kUuid:
            if (!reader.read_bin(text) || text.size() != 16) return false;
            detail::put(sink, "\"");
            put_uuid(sink, text);
            detail::put(sink, "\"");
            return true;
        case Form::kText:
        case Form::kNumeric:
        case Form::kJson:
            if (!reader.read_str(text)) return false;
            put_json_string(sink, text);
            return true;
    }
    return false;
}

}  // namespace paysync::wire

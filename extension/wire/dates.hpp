// Days and microseconds since 2000-01-01 as PostgreSQL prints dates and timestamps in its ISO style.
#pragma once

#include "wire/sink.hpp"

namespace paysync::wire {

namespace detail {

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

// Writes year, month and day. True where they are before Christ, which is for the caller to say at the text's end.
template <typename Sink>
bool put_day(Sink& sink, int64_t days) {
    const CivilDate date = civil_date(days);
    const bool before_christ = date.year <= 0;
    put_decimal(sink, static_cast<uint64_t>(before_christ ? 1 - date.year : date.year), 4);
    put(sink, "-");
    put_decimal(sink, date.month, 2);
    put(sink, "-");
    put_decimal(sink, date.day, 2);
    return before_christ;
}

}  // namespace detail

// Days since 2000-01-01, or one of the infinities, as text.
template <typename Sink>
void put_date(Sink& sink, int32_t days) {
    if (days == INT32_MAX) return detail::put(sink, "infinity");
    if (days == INT32_MIN) return detail::put(sink, "-infinity");
    if (detail::put_day(sink, days)) detail::put(sink, " BC");
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
    const bool before_christ = detail::put_day(sink, days);
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

}  // namespace paysync::wire

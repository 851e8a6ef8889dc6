// Log lines on standard error: an event's name and its fields, as text (`event key=value`) or as JSON, a line each.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

#include "clock.hpp"

namespace paysync::relay {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

// One field of a line. Numbers stand bare in JSON.
struct Field {
    Field(std::string_view field_name, std::string_view text) : name(field_name), value(text) {}
    Field(std::string_view field_name, const char* text) : name(field_name), value(text) {}
    Field(std::string_view field_name, const std::string& text) : name(field_name), value(text) {}
    template <std::integral Number>
    Field(std::string_view field_name, Number number)
        : name(field_name), value(std::to_string(number)), is_number(true) {}

    std::string_view name;
    std::string value;
    bool is_number = false;
};

// Sets level and format for the whole process; before the first line, and again where they change.
void start_log(LogLevel level, LogFormat format);

// Writes a line, by the loop's thread alone. `event` is a literal: each event has a limit of its own (LogLimit), so
// that nobody who causes one of them without end fills a disk or hides the others. The next line that passes says in
// `suppressed` how many did not.
void log_line(LogLevel level, std::string_view event, std::initializer_list<Field> fields);

inline void log_debug(std::string_view event, std::initializer_list<Field> fields = {}) {
    log_line(LogLevel::kDebug, event, fields);
}
inline void log_info(std::string_view event, std::initializer_list<Field> fields = {}) {
    log_line(LogLevel::kInfo, event, fields);
}
inline void log_warning(std::string_view event, std::initializer_list<Field> fields = {}) {
    log_line(LogLevel::kWarning, event, fields);
}
inline void log_error(std::string_view event, std::initializer_list<Field> fields = {}) {
    log_line(LogLevel::kError, event, fields);
}

// Says how many lines were held back of those events whose period is over and that no line told of since.
void log_suppressed(Time now);

// Lets at most `burst` lines through in each period.
class LogLimit {
public:
    static constexpr int kFaults = 10;   // warnings and errors
    static constexpr int kEvents = 100;  // the rest: all subscribers may come back at once, and are named
    explicit LogLimit(int burst = kFaults) : burst_(burst) {}

    // Whether a line may be written now.
    bool allow(Time now);
    // Lines held back since this was asked last.
    uint64_t take_suppressed();
    // Whether lines were held back in a period that is over.
    [[nodiscard]] bool is_due(Time now) const { return suppressed_ > 0 && now - period_start_ >= kPeriod; }

private:
    static constexpr seconds kPeriod{10};
    int burst_;
    Time period_start_{};
    int used_ = 0;
    uint64_t suppressed_ = 0;
};

}  // namespace paysync::relay

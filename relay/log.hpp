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

// Sets level and format for the whole process; before the first line.
void start_log(LogLevel level, LogFormat format);

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

// Lets at most `kBurst` lines through in each period, so that a hostile peer cannot fill a disk with log.
class LogLimit {
public:
    // Whether a line may be written now.
    bool allow(Time now);
    // Lines held back since the last one let through.
    uint64_t take_suppressed();

private:
    static constexpr int kBurst = 10;
    static constexpr seconds kPeriod{10};
    Time period_start_{};
    int used_ = 0;
    uint64_t suppressed_ = 0;
};

}  // namespace paysync::relay

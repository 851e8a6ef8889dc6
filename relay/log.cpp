// Formats log lines; spdlog brings time stamp and output.
#include "log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "metrics.hpp"
#include "wire/utf8.hpp"

namespace paysync::relay {

namespace {

LogFormat current_format = LogFormat::kText;

// By event: literals of ours, so there are few.
std::map<std::string_view, LogLimit>& limits() {
    static std::map<std::string_view, LogLimit> all;
    return all;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug:
            return spdlog::level::debug;
        case LogLevel::kInfo:
            return spdlog::level::info;
        case LogLevel::kWarning:
            return spdlog::level::warn;
        case LogLevel::kError:
            return spdlog::level::err;
    }
    return spdlog::level::info;
}

void append_hex(std::string& out, unsigned char byte) {
    static constexpr char kHex[] = "0123456789abcdef";
    out += "\\u00";
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
}

// What stands between quotes, in JSON and in text alike: nothing in it can end the line or the field, or steer a
// terminal. UTF-8 passes as it is; what a peer sends need not be any, and would make the line no JSON.
void append_escaped(std::string& out, std::string_view text) {
    for (size_t length = 0; !text.empty(); text.remove_prefix(length)) {
        length = std::max<size_t>(1, wire::utf8_length(text, 0));
        const auto first = static_cast<unsigned char>(text[0]);
        const auto second = static_cast<unsigned char>(length == 2 ? text[1] : 0);
        if (first == '"' || first == '\\') {
            out += '\\';
            out += text[0];
        } else if (first == '\n') {
            out += "\\n";
        } else if (first < 0x20 || first == 0x7f) {
            append_hex(out, first);
        } else if (first >= 0x80 && length == 1) {
            out += "\\ufffd";
        } else if (first == 0xc2 && second < 0xa0) {
            append_hex(out, second);
        } else {
            out += text.substr(0, length);
        }
    }
}

bool is_plain(std::string_view text) {
    if (text.empty()) return false;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte >= 0x7f || c == '"' || c == '\\' || c == '=') return false;
    }
    return true;
}

void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    append_escaped(out, text);
    out += '"';
}

void append_field(std::string& line, const Field& field, bool json) {
    if (json) {
        line += ',';
        append_quoted(line, field.name);
        line += ':';
    } else {
        line += ' ';
        line += field.name;
        line += '=';
    }
    if (json ? field.is_number : is_plain(field.value)) {
        line += field.value;
    } else {
        append_quoted(line, field.value);
    }
}

void write_line(LogLevel level, std::string_view event, std::initializer_list<Field> fields, uint64_t suppressed) {
    const bool json = current_format == LogFormat::kJson;
    std::string line;
    if (json) {
        line += "\"event\":";
        append_quoted(line, event);
    } else {
        line += event;
    }
    for (const Field& field : fields) append_field(line, field, json);
    if (suppressed > 0) append_field(line, Field("suppressed", suppressed), json);
    spdlog::default_logger_raw()->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void start_log(LogLevel level, LogFormat format) {
    current_format = format;
    auto logger = std::make_shared<spdlog::logger>("relay", std::make_shared<spdlog::sinks::stderr_sink_st>());
    logger->set_level(to_spdlog(level));
    logger->flush_on(spdlog::level::trace);
    const bool json = format == LogFormat::kJson;
    logger->set_pattern(json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l",%v})" : "%Y-%m-%dT%H:%M:%S.%fZ %l %v",
                        spdlog::pattern_time_type::utc);
    spdlog::set_default_logger(std::move(logger));
}

void log_line(LogLevel level, std::string_view event, std::initializer_list<Field> fields) {
    if (!spdlog::should_log(to_spdlog(level))) return;
    const int burst = level >= LogLevel::kWarning ? LogLimit::kFaults : LogLimit::kEvents;
    LogLimit& limit = limits().try_emplace(event, burst).first->second;
    if (!limit.allow(Clock::now())) {
        counters.lines_suppressed += 1;
        return;
    }
    write_line(level, event, fields, limit.take_suppressed());
}

void log_suppressed(Time now) {
    if (!spdlog::should_log(spdlog::level::warn)) return;
    for (auto& [event, limit] : limits()) {
        if (limit.is_due(now))
            write_line(LogLevel::kWarning, "lines_suppressed", {{"of", event}}, limit.take_suppressed());
    }
}

bool LogLimit::allow(Time now) {
    if (used_ == 0 || now - period_start_ >= kPeriod) {
        period_start_ = now;
        used_ = 0;
    }
    if (used_ >= burst_) {
        suppressed_ += 1;
        return false;
    }
    used_ += 1;
    return true;
}

uint64_t LogLimit::take_suppressed() { return std::exchange(suppressed_, 0); }

}  // namespace paysync::relay

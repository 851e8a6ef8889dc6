// Statements with every name qualified and every parameter typed.
#include "calls.hpp"

#include <stdexcept>

namespace paysync::relay {

Query lead_query(const std::string& software) {
    return Query("SELECT epoch, nonce, stream_id, head, version FROM paysync.lead($1)").text(software);
}

LeadRow read_lead(const Rows& rows) {
    LeadRow row{static_cast<uint64_t>(rows.bigint(0, 0)), rows.text(0, 1), rows.text(0, 2),
                static_cast<uint64_t>(rows.bigint(0, 3)), rows.text(0, 4)};
    if (row.stream_id.size() != 16) throw std::runtime_error("the database gave no uuid where one was agreed on");
    return row;
}

Query next_tick_query(uint64_t epoch, int wait_ms, int pace_ms, uint64_t head) {
    return Query("CALL paysync.next_tick($1, $2, $3, $4)")
        .bigint(static_cast<int64_t>(epoch))
        .integer(wait_ms)
        .integer(pace_ms)
        .bigint(static_cast<int64_t>(head));
}

uint64_t read_next_tick(const Rows& rows) { return static_cast<uint64_t>(rows.bigint(0, 0)); }

Query read_transactions_query(uint64_t first_number, int32_t after_part, uint64_t max_bytes) {
    return Query("SELECT number, epoch, nonce, xid, part, payload FROM paysync.read_transactions($1, $2, $3)")
        .bigint(static_cast<int64_t>(first_number))
        .integer(after_part)
        .integer(static_cast<int32_t>(max_bytes));
}

Query read_shapes_query(const std::vector<int64_t>& ids) {
    return Query("SELECT id, description FROM paysync.read_shapes($1)").bigints(ids);
}

Query open_subscriber_query(const std::string& name, const std::string& stream_id, const std::string& position) {
    return Query("SELECT name, number, channels FROM paysync.open_subscriber($1, $2, $3)")
        .text(name)
        .uuid(stream_id.empty() ? std::nullopt : std::optional<std::string_view>(stream_id))
        .text(position.empty() ? std::nullopt : std::optional<std::string>(position));
}

OpenedSubscriber read_opened(const Rows& rows) {
    return OpenedSubscriber{rows.text(0, 0), static_cast<uint64_t>(rows.bigint(0, 1)), rows.texts(0, 2)};
}

Query close_subscriber_query(const std::string& name) {
    return Query("SELECT paysync.close_subscriber($1)").text(name);
}

Query acknowledge_query(uint64_t epoch, const std::map<std::string, Acknowledgement>& all) {
    std::vector<std::string> names;
    std::vector<int64_t> numbers;
    std::vector<bool> connected;
    for (const auto& [name, acknowledgement] : all) {
        names.push_back(name);
        numbers.push_back(acknowledgement.number);
        connected.push_back(acknowledgement.connected);
    }
    return Query("SELECT paysync.acknowledge($1, $2, $3, $4)")
        .bigint(static_cast<int64_t>(epoch))
        .texts(names)
        .bigints(numbers)
        .booleans(connected);
}

Query maintain_query() { return Query("SELECT paysync.maintain()"); }

uint64_t number_in(const std::string& detail) {
    size_t end = detail.find_last_of("0123456789");
    if (end == std::string::npos) return 0;
    size_t begin = end;
    while (begin > 0 && detail[begin - 1] >= '0' && detail[begin - 1] <= '9') begin -= 1;
    uint64_t value = 0;
    for (size_t i = begin; i <= end; ++i) {
        const auto digit = static_cast<uint64_t>(detail[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) return 0;
        value = value * 10 + digit;
    }
    return value;
}

}  // namespace paysync::relay

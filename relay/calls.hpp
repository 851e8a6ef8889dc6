// The SQL calls of docs/outbox.md §6: statements and what their rows mean. Nothing else in the relay knows SQL.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "query.hpp"

namespace paysync::relay {

struct LeadRow {
    uint64_t epoch = 0;
    std::string nonce;
    std::string stream_id;  // 16 bytes
    uint64_t head = 0;
    std::string version;
};

struct OpenedSubscriber {
    std::string name;
    uint64_t number = 0;  // what it goes on after
    std::vector<std::string> channels;
};

// What is to be recorded of one subscriber; `number` -1 leaves it unchanged.
struct Acknowledgement {
    int64_t number = -1;
    bool connected = true;
};

Query lead_query(const std::string& software);
LeadRow read_lead(const Rows& rows);

Query next_tick_query(uint64_t epoch, int wait_ms, int pace_ms, uint64_t head);
// The last number there is.
uint64_t read_next_tick(const Rows& rows);

// Rows: number, epoch, nonce, xid, part, payload.
Query read_transactions_query(uint64_t first_number, int32_t after_part, uint64_t max_bytes);

// Rows: id, description.
Query read_shapes_query(const std::vector<int64_t>& ids);

// `stream_id` is empty or 16 bytes, `position` empty or the text that a subscriber gave.
Query open_subscriber_query(const std::string& name, const std::string& stream_id, const std::string& position);
OpenedSubscriber read_opened(const Rows& rows);

Query close_subscriber_query(const std::string& name);
Query acknowledge_query(uint64_t epoch, const std::map<std::string, Acknowledgement>& all);
Query maintain_query();

// The last number in an error's detail, as in "The stream stands at number 4711."; 0 where there is none.
[[nodiscard]] uint64_t number_in(const std::string& detail);

}  // namespace paysync::relay

// The SQL calls of docs/outbox.md §6: statements and what their rows mean. Nothing else in the relay knows SQL.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "query.hpp"
#include "vitals.hpp"

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
    uint64_t revision = 0;          // of the subscriber: changes with everything that a session depends on
    std::vector<uint64_t> skipped;  // numbers after `number` that it is never sent
    std::string rewound;            // position that a replay was asked for from; empty: none was
};

// What is to be recorded of one subscriber; `number` -1 leaves it unchanged, an empty `error` the last one. It counts
// only where `revision` is the subscriber's present one; with 0, `connected` and `error` always do.
struct Acknowledgement {
    std::string subscriber;
    int64_t number = -1;
    bool connected = true;
    uint64_t revision = 0;
    std::string error;
};

Query lead_query(const std::string& software);
LeadRow read_lead(const Rows& rows);

Query next_tick_query(uint64_t epoch, int wait_ms, int pace_ms, uint64_t head);
// The last number there is.
uint64_t read_next_tick(const Rows& rows);

Query read_page_query(uint64_t first_number, int32_t after_part, uint64_t max_bytes);
// For wire::PageReader.
std::string read_page(const Rows& rows);

// Rows: id, description.
Query read_shapes_query(const std::vector<int64_t>& ids);

// Rows: part, payload.
Query read_manifest_query(uint64_t number, uint64_t parts);

// The changes of a transaction that must be put in order first, by a cursor that outlives its transaction, so that no
// snapshot is held while a subscriber takes them. Rows of a fetch: piece, payload of at most kPieceBytes.
inline constexpr uint64_t kPieceBytes = 64 * 1024;
Query declare_pieces_query(const std::string& cursor, uint64_t number);
Query pass_pieces_query(const std::string& cursor, uint64_t pieces);
Query fetch_pieces_query(const std::string& cursor, uint64_t pieces);
Query close_pieces_query(const std::string& cursor);

// `stream_id` is empty or 16 bytes, `position` empty or the text that a subscriber gave. `obeys_rewind`: where a replay
// was asked for it starts there, not at its position.
Query open_subscriber_query(const std::string& name, const std::string& stream_id, const std::string& position,
                            bool obeys_rewind);
OpenedSubscriber read_opened(const Rows& rows);

Query close_subscriber_query(const std::string& name);
Query acknowledge_query(uint64_t epoch, const std::vector<Acknowledgement>& all);
// Rows: the names of those that are gone, or have another revision now.
Query stale_sessions_query(const std::vector<std::string>& names, const std::vector<int64_t>& revisions);
Query maintain_query();

// For the metrics. Ephemeral subscribers are left out: their names come and go without end.
Query subscriber_states_query();
std::vector<SubscriberSample> read_subscriber_states(const Rows& rows);
Query health_query();
// Fills in what is the database's and no subscriber's.
void read_health(const Rows& rows, Sample& sample);

// The last number in an error's detail, as in "The stream stands at number 4711."; 0 where there is none.
[[nodiscard]] uint64_t number_in(const std::string& detail);

}  // namespace paysync::relay

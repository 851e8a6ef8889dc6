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
        .bigint(static_cast<int64_t>(head))
        .often();
}

uint64_t read_next_tick(const Rows& rows) { return static_cast<uint64_t>(rows.bigint(0, 0)); }

Query read_page_query(uint64_t first_number, int32_t after_part, uint64_t max_bytes) {
    return Query("SELECT piece FROM paysync.read_page($1, $2, $3) AS piece")
        .bigint(static_cast<int64_t>(first_number))
        .integer(after_part)
        .integer(static_cast<int32_t>(max_bytes))
        .often();
}

std::string read_page(const Rows& rows) {
    std::string page;
    size_t bytes = 0;
    for (int row = 0; row < rows.count(); ++row) bytes += rows.bytes(row, 0).size();
    page.reserve(bytes);
    for (int row = 0; row < rows.count(); ++row) page += rows.bytes(row, 0);
    return page;
}

Query read_shapes_query(const std::vector<int64_t>& ids) {
    return Query("SELECT id, description FROM paysync.read_shapes($1)").bigints(ids);
}

Query read_manifest_query(uint64_t number, uint64_t parts) {
    return Query("SELECT part, payload FROM paysync.read_manifest($1, $2)")
        .bigint(static_cast<int64_t>(number))
        .integer(static_cast<int32_t>(parts));
}

// A cursor's statement takes no parameters.
Query declare_pieces_query(const std::string& cursor, uint64_t number) {
    return Query("DECLARE " + cursor +
                 " NO SCROLL CURSOR WITH HOLD FOR SELECT piece, payload FROM paysync.read_in_order(" +
                 std::to_string(number) + "::bigint)");
}

Query pass_pieces_query(const std::string& cursor, uint64_t pieces) {
    return Query("MOVE FORWARD " + std::to_string(pieces) + " FROM " + cursor);
}

Query fetch_pieces_query(const std::string& cursor, uint64_t pieces) {
    return Query("FETCH FORWARD " + std::to_string(pieces) + " FROM " + cursor);
}

Query close_pieces_query(const std::string& cursor) { return Query("CLOSE " + cursor); }

Query open_subscriber_query(const std::string& name, const std::string& stream_id, const std::string& position,
                            bool obeys_rewind) {
    return Query(
               "SELECT name, number, channels, revision, skipped, coalesce(rewound, '')"
               " FROM paysync.open_subscriber($1, $2, $3, $4)")
        .text(name)
        .uuid(stream_id.empty() ? std::nullopt : std::optional<std::string_view>(stream_id))
        .text(position.empty() ? std::nullopt : std::optional<std::string>(position))
        .boolean(obeys_rewind);
}

OpenedSubscriber read_opened(const Rows& rows) {
    OpenedSubscriber opened;
    opened.name = rows.text(0, 0);
    opened.number = static_cast<uint64_t>(rows.bigint(0, 1));
    opened.channels = rows.texts(0, 2);
    opened.revision = static_cast<uint64_t>(rows.bigint(0, 3));
    for (const int64_t number : rows.bigints(0, 4)) opened.skipped.push_back(static_cast<uint64_t>(number));
    opened.rewound = rows.text(0, 5);
    return opened;
}

Query close_subscriber_query(const std::string& name) {
    return Query("SELECT paysync.close_subscriber($1)").text(name);
}

Query acknowledge_query(uint64_t epoch, const std::vector<Acknowledgement>& all) {
    std::vector<std::string> names;
    std::vector<int64_t> numbers;
    std::vector<bool> connected;
    std::vector<int64_t> revisions;
    std::vector<std::string> errors;
    for (const Acknowledgement& one : all) {
        names.push_back(one.subscriber);
        numbers.push_back(one.number);
        connected.push_back(one.connected);
        revisions.push_back(static_cast<int64_t>(one.revision));
        errors.push_back(one.error);
    }
    // A crash of the server may take back the last of them, and then a little comes again; a tick must not wait for
    // their flush.
    return Query(
               "SELECT pg_catalog.set_config('synchronous_commit', 'off', true),"
               " paysync.acknowledge($1, $2, $3, $4, $5, ARRAY(SELECT nullif(e.text, '') FROM"
               " pg_catalog.unnest($6) WITH ORDINALITY AS e(text, place) ORDER BY e.place))")
        .bigint(static_cast<int64_t>(epoch))
        .texts(names)
        .bigints(numbers)
        .booleans(connected)
        .bigints(revisions)
        .texts(errors);
}

Query stale_sessions_query(const std::vector<std::string>& names, const std::vector<int64_t>& revisions) {
    return Query("SELECT name FROM paysync.stale_sessions($1, $2) AS name").texts(names).bigints(revisions);
}

Query maintain_query() { return Query("SELECT paysync.maintain()"); }

Query subscriber_states_query() {
    return Query(
        "SELECT name, state, coalesce(lag_transactions, 0), coalesce(lag_bytes, 0),"
        " (coalesce(lag_seconds, 0) OPERATOR(pg_catalog.*) 1000)::bigint, parked FROM paysync.subscriber_states()"
        " WHERE NOT ephemeral ORDER BY name");
}

std::vector<SubscriberSample> read_subscriber_states(const Rows& rows) {
    std::vector<SubscriberSample> all;
    for (int row = 0; row < rows.count(); ++row) {
        all.push_back({rows.text(row, 0), rows.text(row, 1), rows.bigint(row, 2), rows.bigint(row, 3),
                       rows.bigint(row, 4), rows.bigint(row, 5)});
    }
    return all;
}

Query health_query() {
    return Query(
        "SELECT coalesce(outbox_bytes, 0), coalesce((extract(epoch FROM clock_timestamp() OPERATOR(pg_catalog.-)"
        " last_tick_at) OPERATOR(pg_catalog.*) 1000)::bigint, -1), coalesce(unticked_transactions, 0),"
        " (coalesce(unticked_seconds, 0) OPERATOR(pg_catalog.*) 1000)::bigint, state, outbox_limit"
        " FROM paysync.health()");
}

void read_health(const Rows& rows, Sample& sample) {
    if (rows.count() == 0) return;
    sample.outbox_bytes = rows.bigint(0, 0);
    sample.last_tick_age_ms = rows.bigint(0, 1);
    sample.unticked_transactions = rows.bigint(0, 2);
    sample.unticked_ms = rows.bigint(0, 3);
    sample.status = rows.text(0, 4);
    sample.outbox_limit = rows.bigint(0, 5);
}

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

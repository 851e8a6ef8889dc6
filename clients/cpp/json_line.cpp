// A transaction as JSON: values go straight from the bytes of a change, by the same code that the server's
// `paysync.peek` uses.
#include <algorithm>
#include <numeric>

#include "floats.hpp"
#include "paysync.hpp"
#include "rows.hpp"
#include "wire/change.hpp"
#include "wire/json.hpp"

namespace paysync {

namespace {

using wire::Bytes;
using wire::Reader;

// The bytes of a row's values by column; empty where the row does not have the column.
using Row = std::vector<Bytes>;

[[noreturn]] void unreadable(const Table& table) {
    throw Error("a row of table \"" + table.schema + "." + table.name + "\" cannot be shown",
                "Shape " + std::to_string(table.shape) + " does not describe its values.");
}

bool split_new(Bytes bytes, Row& row) {
    Reader reader(bytes);
    uint32_t count = 0;
    if (!reader.read_array(count) || count != row.size()) return false;
    for (Bytes& value : row) {
        const size_t start = reader.offset();
        if (!reader.skip()) return false;
        value = reader.since(start);
    }
    return true;
}

bool split_map(Bytes bytes, Row& row) {
    Reader reader(bytes);
    uint32_t count = 0;
    if (!reader.read_map(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
        uint64_t column = 0;
        if (!reader.read_uint(column) || column >= row.size() || !row[column].empty()) return false;
        const size_t start = reader.offset();
        if (!reader.skip()) return false;
        row[column] = reader.since(start);
    }
    return true;
}

void put_text(std::string& line, Bytes name, const std::optional<std::string>& text) {
    wire::put_json_string(line, name);
    line += ':';
    if (text) {
        wire::put_json_string(line, *text);
    } else {
        line += "null";
    }
}

// The given columns of `row`, those that it has.
void put_row(std::string& line, const Table& table, const Row& row, const std::vector<uint32_t>& columns) {
    line += '{';
    bool first = true;
    for (const uint32_t at : columns) {
        if (row[at].empty()) continue;
        const Column& column = table.columns[at];
        if (!first) line += ',';
        first = false;
        wire::put_json_string(line, column.name);
        line += ':';
        Reader reader(row[at]);
        const wire::Column plain{column.name, column.type, wire_form(column), column.number};
        if (!wire::put_json_value<ShortestFloats>(line, reader, plain)) unreadable(table);
    }
    line += '}';
}

// JSON as the server accepted it. A line's end in it can only be white space: inside strings it is escaped.
void put_json(std::string& line, const std::string& json) {
    for (const char c : json) line += c == '\n' || c == '\r' ? ' ' : c;
}

void put_event(std::string& line, const Change& change) {
    line += "\"table\":null,\"op\":\"event\",";
    put_text(line, "type", change.event->type);
    line += ',';
    put_text(line, "key", change.event->key);
    line += ",\"headers\":";
    put_json(line, change.event->headers.text);
    line += ",\"payload\":";
    put_json(line, change.event->payload.text);
}

// A key finds the row: the old one where an update or delete tells it, else the new row's.
Row key_row(const Table& table, const Row& old_row, const Row& new_row) {
    const auto& key = table.key;
    const auto told = std::count_if(key.begin(), key.end(), [&old_row](uint32_t at) { return !old_row[at].empty(); });
    const Row& from = told == 0 ? new_row : old_row;
    Row row(table.columns.size());
    for (const uint32_t at : key) {
        if (from[at].empty()) unreadable(table);
        row[at] = from[at];
    }
    return row;
}

std::vector<uint32_t> all_columns(const Table& table) {
    std::vector<uint32_t> all(table.columns.size());
    std::iota(all.begin(), all.end(), 0U);
    return all;
}

void put_row_change(std::string& line, const Table& table, const wire::Change& change) {
    const bool has_new = !change.new_row.empty();
    const bool has_old = !change.old_row.empty() && Reader(change.old_row).peek() != wire::Type::kNil;
    Row new_row(table.columns.size());
    Row old_row(table.columns.size());
    if (has_new && !split_new(change.new_row, new_row)) unreadable(table);
    if (has_old && !split_map(change.old_row, old_row)) unreadable(table);
    const std::vector<uint32_t> all = all_columns(table);
    line += "\"key\":";
    put_row(line, table, key_row(table, old_row, new_row), all);
    line += ",\"old\":";
    has_old ? put_row(line, table, old_row, all) : void(line += "null");
    line += ",\"new\":";
    has_new ? put_row(line, table, new_row, all) : void(line += "null");
}

void put_alter(std::string& line, const Table& table, const wire::Change& change) {
    line += ",\"columns\":{";
    for (const Column& column : table.columns) {
        if (line.back() != '{') line += ',';
        put_text(line, column.name, column.type);
    }
    line += "},\"values\":";
    Row values(table.columns.size());
    if (!split_map(change.values, values)) unreadable(table);
    put_row(line, table, values, all_columns(table));
}

void put_table_change(std::string& line, const Change& change) {
    static constexpr const char* kNames[] = {"insert", "update", "delete", "truncate", "event", "gap", "alter"};
    const Table& table = *change.table;
    put_text(line, "table", table.schema + "." + table.name);
    line += ",\"op\":\"";
    line += kNames[static_cast<size_t>(change.operation)];
    line += "\",";
    wire::Change read;
    Reader reader(change.bytes);
    if (!wire::read_change(reader, read)) unreadable(table);
    if (!read.new_row.empty() || !read.old_row.empty()) return put_row_change(line, table, read);
    line += "\"key\":null,\"old\":null,\"new\":null";
    if (change.operation == Operation::kAlter) put_alter(line, table, read);
    if (change.operation == Operation::kGap) {
        line += ',';
        put_text(line, "reason", change.reason);
    }
}

}  // namespace

std::string to_json(const TransactionHead& head) {
    std::string line = "{";
    put_text(line, "position", head.position.text());
    line += ',';
    put_text(line, "xid", std::to_string(head.xid));
    line += ",\"time\":\"";
    wire::put_clock(line, head.time);
    line += "\",";
    put_text(line, "origin", head.origin);
    line += ',';
    put_text(line, "context", head.context);
    line += ",\"changes\":[";
    return line;
}

std::string to_json(const Change& change) {
    std::string line = "{";
    put_text(line, "channel", change.channel);
    line += ',';
    if (change.operation == Operation::kEvent) {
        put_event(line, change);
    } else {
        put_table_change(line, change);
    }
    line += '}';
    return line;
}

std::string to_json(const Transaction& transaction) {
    std::string line = to_json(static_cast<const TransactionHead&>(transaction));
    bool first = true;
    for (const Change& change : transaction.changes) {
        if (!first) line += ',';
        first = false;
        line += to_json(change);
    }
    line += kJsonEnd;
    return line;
}

}  // namespace paysync

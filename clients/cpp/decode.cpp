// Changes from bytes to values.
#include <algorithm>

#include "batch.hpp"
#include "utf8.hpp"
#include "wire/change.hpp"
#include "wire/shape.hpp"

namespace paysync {

namespace {

using wire::Bytes;
using wire::Reader;

static_assert(static_cast<int>(Form::kJson) == static_cast<int>(wire::Form::kJson));
static_assert(static_cast<int>(Operation::kEvent) == static_cast<int>(wire::Operation::kEvent));

bool read_text(Reader& reader, Bytes& text) { return reader.read_str(text) && is_utf8(text); }

bool read_uuid(Reader& reader, Value& value) {
    Bytes bytes;
    Uuid uuid;
    if (!reader.read_bin(bytes) || bytes.size() != uuid.bytes.size()) return false;
    std::copy(bytes.begin(), bytes.end(), uuid.bytes.begin());
    value = uuid;
    return true;
}

bool read_value(Reader& reader, Form form, Value& value) {
    if (reader.read_nil()) {
        value = std::monostate{};
        return true;
    }
    Bytes text;
    bool truth = false;
    int64_t number = 0;
    switch (form) {
        case Form::kBool:
            if (!reader.read_bool(truth)) return false;
            value = truth;
            return true;
        case Form::kInt:
            if (!reader.read_int(number)) return false;
            value = number;
            return true;
        case Form::kTimestamp:
        case Form::kTimestampTz:
            if (!reader.read_int(number)) return false;
            value = Timestamp{number, form == Form::kTimestampTz};
            return true;
        case Form::kUuid:
            return read_uuid(reader, value);
        case Form::kText:
            if (!read_text(reader, text)) return false;
            value = std::string(text);
            return true;
        case Form::kNumeric:
            if (!read_text(reader, text)) return false;
            value = Numeric{std::string(text)};
            return true;
        case Form::kJson:
            if (!read_text(reader, text)) return false;
            value = Json{std::string(text)};
            return true;
    }
    return false;
}

bool read_new(Bytes row, const Table& table, std::vector<Value>& values) {
    if (row.empty()) return true;
    Reader reader(row);
    uint32_t count = 0;
    if (!reader.read_array(count) || count != table.columns.size()) return false;
    values.resize(count);
    for (uint32_t i = 0; i < count; ++i) {
        if (!read_value(reader, table.columns[i].form, values[i])) return false;
    }
    return reader.at_end();
}

bool read_old(Bytes row, const Table& table, std::vector<std::pair<uint32_t, Value>>& values) {
    if (row.empty()) return true;
    Reader reader(row);
    if (reader.read_nil()) return reader.at_end();
    uint32_t count = 0;
    if (!reader.read_map(count) || count > table.columns.size()) return false;
    for (uint32_t i = 0; i < count; ++i) {
        uint64_t column = 0;
        Value value;
        if (!reader.read_uint(column) || column >= table.columns.size() ||
            !read_value(reader, table.columns[column].form, value))
            return false;
        values.emplace_back(static_cast<uint32_t>(column), std::move(value));
    }
    std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    const auto twice = std::adjacent_find(values.begin(), values.end(),
                                          [](const auto& a, const auto& b) { return a.first == b.first; });
    return twice == values.end() && reader.at_end();
}

// A delete that does not say which row is no use to anybody.
bool has_key(const Table& table, const std::vector<std::pair<uint32_t, Value>>& values) {
    return std::all_of(table.key.begin(), table.key.end(), [&](uint32_t column) {
        return std::any_of(values.begin(), values.end(), [column](const auto& value) { return value.first == column; });
    });
}

Event event_of(const wire::Change& change, const Position& position) {
    for (const Bytes text : {change.channel, change.event_type, change.event_key, change.headers, change.payload}) {
        if (!is_utf8(text)) throw Error("an event in transaction " + position.text() + " holds text that is not utf-8");
    }
    Event event;
    event.type = change.event_type;
    if (change.event_has_key) event.key = std::string(change.event_key);
    event.headers.text = change.headers;
    event.payload.text = change.payload;
    return event;
}

std::optional<std::string> owned(const std::optional<Bytes>& text) {
    if (!text) return std::nullopt;
    return std::string(*text);
}

}  // namespace

Transaction decode(const RawTransaction& raw, const Shapes& shapes, std::shared_ptr<const void> storage) {
    Transaction transaction;
    transaction.position = raw.position;
    transaction.xid = raw.xid;
    transaction.time = raw.time;
    if (!is_utf8(raw.origin.value_or(Bytes())) || !is_utf8(raw.context.value_or(Bytes())))
        throw Error("origin or context of transaction " + raw.position.text() + " is not utf-8");
    transaction.origin = owned(raw.origin);
    transaction.context = owned(raw.context);
    transaction.total_changes = raw.total;
    transaction.storage = std::move(storage);
    Reader reader(raw.data);
    wire::Change read;
    while (!reader.at_end()) {
        if (!wire::read_change(reader, read))
            throw Error("transaction " + raw.position.text() + " holds a malformed change");
        Change& change = transaction.changes.emplace_back();
        change.operation = static_cast<Operation>(read.operation);
        change.command = read.command;
        change.bytes = read.bytes;
        if (read.operation == wire::Operation::kEvent) {
            change.channel = read.channel;
            change.event = event_of(read, raw.position);
            continue;
        }
        const auto shape = shapes.find(read.shape);
        if (shape == shapes.end())
            throw Error("transaction " + raw.position.text() + " names unknown shape " + std::to_string(read.shape));
        change.table = shape->second;
        change.channel = change.table->channel;
        if (!read_new(read.new_row, *change.table, change.new_values) ||
            !read_old(read.old_row, *change.table, change.old_values) ||
            (change.operation == Operation::kDelete && !has_key(*change.table, change.old_values))) {
            throw Error("a row of table \"" + change.table->schema + "." + change.table->name + "\" in transaction " +
                            raw.position.text() + " is not of its shape",
                        "Shape " + std::to_string(read.shape) + " describes other columns than the row has.");
        }
    }
    return transaction;
}

}  // namespace paysync

// Changes from bytes to values.
#include <algorithm>

#include "batch.hpp"
#include "rows.hpp"
#include "utf8.hpp"
#include "wire/change.hpp"

namespace paysync {

namespace {

using wire::Bytes;
using wire::Reader;
using OldValues = std::vector<std::pair<uint32_t, Value>>;

static_assert(static_cast<int>(Operation::kAlter) == static_cast<int>(wire::Operation::kAlter));

const Value* find_value(const OldValues& values, uint32_t column) {
    const auto found =
        std::find_if(values.begin(), values.end(), [column](const auto& value) { return value.first == column; });
    return found == values.end() ? nullptr : &found->second;
}

// A delete that does not say which row is no use to anybody, and an update that tells only part of the old key leaves
// open whether the rest changed.
bool names_its_row(const Change& change) {
    const auto& key = change.table->key;
    const auto told = std::count_if(key.begin(), key.end(), [&change](uint32_t column) {
        return find_value(change.old_values, column) != nullptr;
    });
    const bool all = static_cast<size_t>(told) == key.size();
    return change.operation == Operation::kUpdate ? all || told == 0 : change.operation != Operation::kDelete || all;
}

std::shared_ptr<const Table> table_of(const RawTransaction& raw, const Shapes& shapes, int64_t id) {
    const auto shape = shapes.find(id);
    if (shape == shapes.end())
        throw Error("transaction " + raw.position.text() + " names unknown shape " + std::to_string(id));
    return shape->second;
}

// Fills in what `change` tells of rows of its table. False if that is not of its shape.
bool read_rows(const wire::Change& read, Change& change) {
    const Table& table = *change.table;
    return (read.new_row.empty() || read_row(read.new_row, table, change.new_values)) &&
           (read.old_row.empty() || read_columns(read.old_row, table, change.old_values)) &&
           (read.values.empty() || read_columns(read.values, table, change.added_values)) && names_its_row(change);
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

std::vector<const Value*> Change::key() const {
    std::vector<const Value*> key;
    if (!table || (new_values.empty() && operation != Operation::kDelete)) return key;
    for (const uint32_t column : table->key) {
        const Value* const old_value = find_value(old_values, column);
        key.push_back(old_value != nullptr ? old_value : &new_values[column]);
    }
    return key;
}

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
        change.table = table_of(raw, shapes, read.shape);
        change.channel = change.table->channel;
        if (read.operation == wire::Operation::kAlter) change.previous = table_of(raw, shapes, read.previous);
        if (!is_utf8(read.reason))
            throw Error("a gap in transaction " + raw.position.text() + " gives a reason that is not utf-8");
        change.reason = read.reason;
        if (!read_rows(read, change)) {
            throw Error("a row of table \"" + change.table->schema + "." + change.table->name + "\" in transaction " +
                            raw.position.text() + " is not of its shape",
                        "Shape " + std::to_string(read.shape) + " describes other columns than the row has.");
        }
    }
    return transaction;
}

}  // namespace paysync

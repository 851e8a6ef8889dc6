// Changes from bytes to values.
#include <algorithm>

#include "batch.hpp"
#include "rows.hpp"
#include "wire/change.hpp"
#include "wire/utf8.hpp"

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

// Fills in what `change` tells of rows of its table. False if that is not of its shape.
bool read_rows(const wire::Change& read, Change& change) {
    const Table& table = *change.table;
    if (read.new_row.empty()) change.new_values.clear();
    return (read.new_row.empty() || read_row(read.new_row, table, change.new_values)) &&
           (read.old_row.empty() || read_columns(read.old_row, table, change.old_values)) &&
           (read.values.empty() || read_columns(read.values, table, change.added_values)) && names_its_row(change);
}

Event event_of(const wire::Change& change, const Position& position) {
    for (const Bytes text : {change.channel, change.event_type, change.event_key, change.headers, change.payload}) {
        if (!wire::is_utf8(text))
            throw Error("an event in transaction " + position.text() + " holds text that is not utf-8");
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

TransactionHead decode_head(const RawTransaction& raw) {
    TransactionHead head;
    head.position = raw.position;
    head.xid = raw.xid;
    head.time = raw.time;
    if (!wire::is_utf8(raw.origin.value_or(Bytes())) || !wire::is_utf8(raw.context.value_or(Bytes())))
        throw Error("origin or context of transaction " + raw.position.text() + " is not utf-8");
    head.origin = owned(raw.origin);
    head.context = owned(raw.context);
    head.total_changes = raw.total;
    head.change_count = raw.change_count;
    head.streamed_bytes = raw.bytes;
    return head;
}

namespace {

// Most of what a change was before is written over; this is what may not be.
void empty(Change& change) {
    change.old_values.clear();
    change.added_values.clear();
    change.event.reset();
    change.previous.reset();
}

void fill(const wire::Change& read, const Position& position, const Shapes& shapes, Change& change) {
    empty(change);
    change.operation = static_cast<Operation>(read.operation);
    change.command = read.command;
    change.bytes = read.bytes;
    if (read.operation == wire::Operation::kEvent) {
        change.table.reset();
        change.new_values.clear();
        change.reason.clear();
        change.channel = read.channel;
        change.event = event_of(read, position);
        return;
    }
    const std::shared_ptr<const Table>& table = described(position, shapes, read.shape);
    if (change.table != table) change.table = table;
    change.channel = table->channel;
    if (read.operation == wire::Operation::kAlter) change.previous = described(position, shapes, read.previous);
    if (!wire::is_utf8(read.reason))
        throw Error("a gap in transaction " + position.text() + " gives a reason that is not utf-8");
    change.reason = read.reason;
    if (!read_rows(read, change)) {
        throw Error("a row of table \"" + change.table->schema + "." + change.table->name + "\" in transaction " +
                        position.text() + " is not of its shape",
                    "Shape " + std::to_string(read.shape) + " describes other columns than the row has.");
    }
}

}  // namespace

void decode_change(Reader& reader, const Position& position, const Shapes& shapes, Change& change) {
    wire::Change read;
    if (!wire::read_change(reader, read)) throw Error("transaction " + position.text() + " holds a malformed change");
    fill(read, position, shapes, change);
}

void decode_changes(Reader& reader, const Position& position, const Shapes& shapes, std::vector<Change>& changes) {
    while (!reader.at_end()) decode_change(reader, position, shapes, changes.emplace_back());
}

Transaction decode(const RawTransaction& raw, const Shapes& shapes, std::shared_ptr<const void> storage) {
    Transaction transaction;
    static_cast<TransactionHead&>(transaction) = decode_head(raw);
    transaction.storage = std::move(storage);
    Reader reader(raw.data);
    decode_changes(reader, raw.position, shapes, transaction.changes);
    return transaction;
}

}  // namespace paysync

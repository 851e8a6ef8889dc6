// One change and how to find its fields (docs/wire.md §3), and the order of changes inside a transaction (§4).
#pragma once

#include <algorithm>

#include "wire/reader.hpp"

namespace paysync::wire {

enum class Operation : uint8_t {
    kInsert = 0,
    kUpdate = 1,
    kDelete = 2,
    kTruncate = 3,
    kEvent = 4,
    kGap = 5,
    kAlter = 6
};

// The fields of a change as views into its bytes. `new_row` and `old_row` are whole msgpack values, empty where the
// operation has none; `old_row` may be a nil.
struct Change {
    Operation operation = Operation::kInsert;
    int64_t shape = 0;  // 0 for an event
    uint64_t command = 0;
    Bytes bytes;  // the whole change
    Bytes new_row;
    Bytes old_row;
    Bytes channel;  // event only, as the next four
    Bytes event_type;
    Bytes event_key;
    bool event_has_key = false;
    Bytes headers;
    Bytes payload;
    Bytes reason;          // gap only: why, UTF-8
    int64_t previous = 0;  // alter only, as the next: the shape that the table had
    Bytes values;          // map from positions in `shape` of new columns to what every row that is there has in them
};

namespace detail {

inline bool read_raw(Reader& reader, Bytes& raw) {
    const size_t start = reader.offset();
    if (!reader.skip()) return false;
    raw = reader.since(start);
    return true;
}

inline bool read_event(Reader& reader, Change& change) {
    if (!reader.read_str(change.channel) || !reader.read_uint(change.command) || !reader.read_str(change.event_type))
        return false;
    change.event_has_key = !reader.read_nil();
    if (change.event_has_key && !reader.read_str(change.event_key)) return false;
    return reader.read_str(change.headers) && reader.read_str(change.payload);
}

inline bool read_alter(Reader& reader, Change& change) {
    return reader.read_int(change.previous) && change.previous > 0 && reader.peek() == Type::kMap &&
           read_raw(reader, change.values);
}

}  // namespace detail

// Takes the next change from `reader`. False if what stands there is no change of this format.
[[nodiscard]] inline bool read_change(Reader& reader, Change& change) {
    static constexpr uint32_t kFields[] = {4, 5, 4, 3, 7, 4, 5};
    const size_t start = reader.offset();
    uint32_t fields = 0;
    uint64_t operation = 0;
    change = Change{};
    if (!reader.read_array(fields) || !reader.read_uint(operation) || operation > 6 || fields != kFields[operation])
        return false;
    change.operation = static_cast<Operation>(operation);
    if (change.operation == Operation::kEvent) {
        if (!detail::read_event(reader, change)) return false;
    } else {
        if (!reader.read_int(change.shape) || change.shape <= 0 || !reader.read_uint(change.command)) return false;
        const bool has_new = change.operation == Operation::kInsert || change.operation == Operation::kUpdate;
        const bool has_old = change.operation == Operation::kUpdate || change.operation == Operation::kDelete;
        if (has_new && (reader.peek() != Type::kArray || !detail::read_raw(reader, change.new_row))) return false;
        if (has_old) {
            const bool is_nil = reader.peek() == Type::kNil && change.operation == Operation::kUpdate;
            if (!is_nil && reader.peek() != Type::kMap) return false;
            if (!detail::read_raw(reader, change.old_row)) return false;
        }
        if (change.operation == Operation::kGap && !reader.read_str(change.reason)) return false;
        if (change.operation == Operation::kAlter && !detail::read_alter(reader, change)) return false;
    }
    change.bytes = reader.since(start);
    return true;
}

// Where one change lies in a stream of them; what order_changes() sorts.
struct Placed {
    uint64_t command;
    uint64_t index;   // order of recording
    uint64_t offset;  // bytes from the start of the stream
    uint64_t length;
};

// Puts `count` changes into the order in which the rows changed: by command, those of one command as they were recorded
// (docs/wire.md §4).
inline void order_changes(Placed* changes, size_t count) {
    std::sort(changes, changes + count, [](const Placed& a, const Placed& b) {
        return a.command != b.command ? a.command < b.command : a.index < b.index;
    });
}

}  // namespace paysync::wire

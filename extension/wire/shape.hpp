// Shapes: how the columns of a table were laid out when a change was written (docs/wire.md §2).
#pragma once

#include "wire/reader.hpp"

namespace paysync::wire {

// How a column's values are encoded. The numbers are on the wire and never change.
enum class Form : uint8_t {
    kText = 0,
    kBool = 1,
    kInt = 2,
    kNumeric = 3,
    kTimestamp = 4,
    kTimestampTz = 5,
    kUuid = 6,
    kJson = 7
};
inline constexpr uint64_t kLastForm = 7;

struct Column {
    Bytes name;
    Bytes type;  // as PostgreSQL prints it
    Form form = Form::kText;
};

// The head of a description; columns and key follow and are read one by one.
struct ShapeHead {
    Bytes schema;
    Bytes table;
    Bytes channel;
    uint32_t columns = 0;
};

// Reads a description up to its first column; then come `head.columns` times read_column(), then read_key_count() and
// as many read_uint().
[[nodiscard]] inline bool read_shape_head(Reader& reader, ShapeHead& head) {
    uint32_t fields = 0;
    return reader.read_array(fields) && fields == 5 && reader.read_str(head.schema) && reader.read_str(head.table) &&
           reader.read_str(head.channel) && reader.read_array(head.columns);
}

[[nodiscard]] inline bool read_column(Reader& reader, Column& column) {
    uint32_t fields = 0;
    uint64_t form = 0;
    if (!reader.read_array(fields) || fields != 3 || !reader.read_str(column.name) || !reader.read_str(column.type) ||
        !reader.read_uint(form) || form > kLastForm)
        return false;
    column.form = static_cast<Form>(form);
    return true;
}

// Key positions follow, each to be checked against the number of columns.
[[nodiscard]] inline bool read_key_count(Reader& reader, uint32_t& count) { return reader.read_array(count); }

// A channel's share of a transaction.
struct ChannelTotal {
    Bytes name;
    uint64_t count = 0;
    Bytes digest;  // 16 bytes
};

[[nodiscard]] inline bool read_channel_total(Reader& reader, ChannelTotal& total) {
    uint32_t fields = 0;
    return reader.read_array(fields) && fields == 3 && reader.read_str(total.name) && reader.read_uint(total.count) &&
           reader.read_bin(total.digest) && total.digest.size() == 16;
}

}  // namespace paysync::wire

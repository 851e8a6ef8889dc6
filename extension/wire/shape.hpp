// Shapes: how the columns of a table were laid out when a change was written (docs/wire.md §2).
#pragma once

#include "wire/reader.hpp"

namespace paysync::wire {

// How a column's values are encoded. The numbers are on the wire and never change. A form with the flag kArray, as
// array_of() makes it, is that of an array of such values.
enum class Form : uint8_t {
    kText = 0,
    kBool = 1,
    kInt = 2,
    kNumeric = 3,
    kTimestamp = 4,
    kTimestampTz = 5,
    kUuid = 6,
    kJson = 7,
    kFloat4 = 8,
    kFloat8 = 9,
    kBytes = 10,
    kDate = 11
};
inline constexpr uint64_t kLastForm = 11;  // of a single value
inline constexpr uint8_t kArray = 16;

// PostgreSQL's arrays have at most six dimensions.
inline constexpr int kMostDimensions = 6;

constexpr bool is_array(Form form) { return (static_cast<uint8_t>(form) & kArray) != 0; }

// The form of an array's elements; of a single value its own.
constexpr Form element_form(Form form) { return static_cast<Form>(static_cast<uint8_t>(form) & (kArray - 1)); }

constexpr Form array_of(Form element) { return static_cast<Form>(static_cast<uint8_t>(element) | kArray); }

// Whether a number that stands in a shape is a form of this version.
constexpr bool is_form(uint64_t number) { return number <= kArray + kLastForm && (number & (kArray - 1)) <= kLastForm; }

// Greatest number of a column: attnum has 16 bits.
inline constexpr uint64_t kLastNumber = INT16_MAX;

struct Column {
    Bytes name;
    Bytes type;  // as PostgreSQL prints it
    Form form = Form::kText;
    int number = 0;  // the column's own number at the source, from 1; 0 in shapes written before 0.2: unknown
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

// Reads one column, of either the three fields of 0.1 or four. False also where its form is none of this version.
[[nodiscard]] inline bool read_column(Reader& reader, Column& column) {
    uint32_t fields = 0;
    uint64_t form = 0;
    uint64_t number = 0;
    if (!reader.read_array(fields) || (fields != 3 && fields != 4) || !reader.read_str(column.name) ||
        !reader.read_str(column.type) || !reader.read_uint(form) || !is_form(form))
        return false;
    if (fields == 4 && (!reader.read_uint(number) || number == 0 || number > kLastNumber)) return false;
    column.form = static_cast<Form>(form);
    column.number = static_cast<int>(number);
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

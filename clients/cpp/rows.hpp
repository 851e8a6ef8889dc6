// Rows and values, from bytes to what the caller gets (docs/wire.md §2, §3).
#pragma once

#include "paysync.hpp"
#include "wire/shape.hpp"

namespace paysync {

// The form of a column's values as it is on the wire.
[[nodiscard]] inline wire::Form wire_form(const Column& column) {
    const auto form = static_cast<wire::Form>(column.form);
    return column.is_array ? wire::array_of(form) : form;
}

// Reads an array with one value a column. False if it is not of `table`'s columns.
[[nodiscard]] bool read_row(wire::Bytes bytes, const Table& table, std::vector<Value>& values);

// Reads a nil or a map from positions to values, which are sorted by position. False if it is not of `table`'s columns
// or names one twice.
[[nodiscard]] bool read_columns(wire::Bytes bytes, const Table& table, std::vector<std::pair<uint32_t, Value>>& values);

}  // namespace paysync

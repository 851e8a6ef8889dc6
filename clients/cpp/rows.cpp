// Values are read by their column's form, and by nothing else.
#include "rows.hpp"

#include <algorithm>

#include "wire/array.hpp"
#include "wire/utf8.hpp"

namespace paysync {

namespace {

using wire::Bytes;
using wire::Reader;

static_assert(static_cast<int>(Form::kDate) == static_cast<int>(wire::Form::kDate));

bool read_text(Reader& reader, Bytes& text) { return reader.read_str(text) && wire::is_utf8(text); }

// The alternative T of `value`, as it is where it is there already: so a text of an earlier row lends its memory.
template <typename T, typename Any>
T& alternative(Any& value) {
    T* const there = std::get_if<T>(&value);
    return there != nullptr ? *there : value.template emplace<T>();
}

// `Any` is Scalar or Value.
template <typename Any>
bool read_uuid(Reader& reader, Any& value) {
    Bytes bytes;
    Uuid uuid;
    if (!reader.read_bin(bytes) || bytes.size() != uuid.bytes.size()) return false;
    std::copy(bytes.begin(), bytes.end(), uuid.bytes.begin());
    value = uuid;
    return true;
}

template <typename Any>
bool read_date(Reader& reader, Any& value) {
    int64_t days = 0;
    if (!reader.read_int(days) || days < INT32_MIN || days > INT32_MAX) return false;
    value = Date{static_cast<int32_t>(days)};
    return true;
}

template <typename Any>
bool read_scalar(Reader& reader, Form form, Any& value) {
    if (reader.read_nil()) {
        value = std::monostate{};
        return true;
    }
    Bytes text;
    bool truth = false;
    int64_t number = 0;
    float single = 0;
    double real = 0;
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
        case Form::kDate:
            return read_date(reader, value);
        case Form::kUuid:
            return read_uuid(reader, value);
        case Form::kBytes:
            if (!reader.read_bin(text)) return false;
            alternative<Binary>(value).bytes = text;
            return true;
        case Form::kFloat4:
            if (!reader.read_float32(single)) return false;
            value = single;
            return true;
        case Form::kFloat8:
            if (!reader.read_float64(real)) return false;
            value = real;
            return true;
        case Form::kText:
            if (!read_text(reader, text)) return false;
            alternative<std::string>(value) = text;
            return true;
        case Form::kNumeric:
            if (!read_text(reader, text)) return false;
            alternative<Numeric>(value).text = text;
            return true;
        case Form::kJson:
            if (!read_text(reader, text)) return false;
            alternative<Json>(value).text = text;
            return true;
    }
    return false;
}

// Collects what wire::walk_array() visits. Nothing is reserved: a length is only believed as elements come.
struct ElementReader {
    Form form;
    std::vector<Scalar>& elements;

    void open(uint32_t) {}
    void close() {}
    bool element(Reader& reader) { return read_scalar(reader, form, elements.emplace_back()); }
};

bool read_array(Reader& reader, Form form, Value& value) {
    Bytes text;
    if (reader.peek() == wire::Type::kStr) {
        if (!read_text(reader, text)) return false;
        value = ArrayText{std::string(text)};
        return true;
    }
    Array& array = value.emplace<Array>();  // one that is there may have elements
    ElementReader elements{form, array.elements};
    wire::Dimensions dimensions;
    if (!wire::walk_array(reader, elements, dimensions)) return false;
    array.lengths.assign(dimensions.length, dimensions.length + dimensions.count);
    return true;
}

bool read_value(Reader& reader, const Column& column, Value& value) {
    if (column.is_array && reader.peek() != wire::Type::kNil) return read_array(reader, column.form, value);
    return read_scalar(reader, column.form, value);
}

}  // namespace

bool read_row(Bytes bytes, const Table& table, std::vector<Value>& values) {
    Reader reader(bytes);
    uint32_t count = 0;
    if (!reader.read_array(count) || count != table.columns.size()) return false;
    values.resize(count);
    for (uint32_t i = 0; i < count; ++i) {
        if (!read_value(reader, table.columns[i], values[i])) return false;
    }
    return reader.at_end();
}

bool read_columns(Bytes bytes, const Table& table, std::vector<std::pair<uint32_t, Value>>& values) {
    Reader reader(bytes);
    if (reader.read_nil()) return reader.at_end();
    uint32_t count = 0;
    if (!reader.read_map(count) || count > table.columns.size()) return false;
    for (uint32_t i = 0; i < count; ++i) {
        uint64_t column = 0;
        Value value;
        if (!reader.read_uint(column) || column >= table.columns.size() ||
            !read_value(reader, table.columns[column], value))
            return false;
        values.emplace_back(static_cast<uint32_t>(column), std::move(value));
    }
    // Sources of version 0.1 write the key's columns in the key's order.
    std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    const auto twice = std::adjacent_find(values.begin(), values.end(),
                                          [](const auto& a, const auto& b) { return a.first == b.first; });
    return twice == values.end() && reader.at_end();
}

}  // namespace paysync

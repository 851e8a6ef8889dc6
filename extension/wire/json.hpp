// Values as JSON, the same for `paysync.peek` in the server and for `paysync tail`: bigint and numeric are always
// strings (no reader rounds them), dates and times are PostgreSQL's ISO text, bytea is its hex text, json is text as it
// was captured, arrays are arrays. A sink is anything with append(const char*, size_t).
//
// Neither side has the other's way to print a float, so the caller brings it: a type with two static functions,
// `size_t write(char* out, float)` and the same for double. They get finite numbers, write at most kFloatText bytes of
// JSON, the shortest that read back exactly, and return how many.
#pragma once

#include <cmath>

#include "wire/array.hpp"
#include "wire/dates.hpp"

namespace paysync::wire {

inline constexpr size_t kFloatText = 32;

namespace detail {

// What may not stand in a JSON string as it is, by byte. Most text has none of it.
struct Escaped {
    bool is[256] = {};
    constexpr Escaped() {
        for (int c = 0; c < 0x20; ++c) is[c] = true;
        is[static_cast<int>('"')] = is[static_cast<int>('\\')] = true;
    }
};
inline constexpr Escaped kEscaped;

}  // namespace detail

// The text between quotes of a JSON string. Input is UTF-8; control characters, quote and backslash are escaped.
template <typename Sink>
void put_json_escaped(Sink& sink, Bytes text) {
    static constexpr char kHex[] = "0123456789abcdef";
    size_t from = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        const uint8_t c = static_cast<uint8_t>(text[i]);
        if (!detail::kEscaped.is[c]) continue;
        sink.append(text.data() + from, i - from);
        from = i + 1;
        char escape[6] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
        size_t length = 6;
        if (c == '"' || c == '\\') escape[1] = static_cast<char>(c), length = 2;
        if (c == '\b') escape[1] = 'b', length = 2;
        if (c == '\f') escape[1] = 'f', length = 2;
        if (c == '\n') escape[1] = 'n', length = 2;
        if (c == '\t') escape[1] = 't', length = 2;
        if (c == '\r') escape[1] = 'r', length = 2;
        sink.append(escape, length);
    }
    sink.append(text.data() + from, text.size() - from);
}

template <typename Sink>
void put_json_string(Sink& sink, Bytes text) {
    detail::put(sink, "\"");
    put_json_escaped(sink, text);
    detail::put(sink, "\"");
}

// 16 bytes as 8-4-4-4-12 hex digits.
template <typename Sink>
void put_uuid(Sink& sink, Bytes bytes) {
    static constexpr size_t kGroups[] = {4, 2, 2, 2, 6};
    size_t from = 0;
    for (const size_t length : kGroups) {  // no substr(): it can throw, which a server cannot
        if (from > 0) detail::put(sink, "-");
        detail::put_hex(sink, Bytes(bytes.data() + from, length));
        from += length;
    }
}

namespace detail {

template <typename Floats, typename Sink, typename Number>
void put_float(Sink& sink, Number number) {
    if (std::isnan(number)) return put(sink, "\"NaN\"");
    if (std::isinf(number)) return put(sink, number > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    char text[kFloatText];
    sink.append(text, Floats::write(text, number));
}

// Whether numbers of a type, or of an array's elements, fit every reader's integers.
inline bool is_small(Bytes type) {
    return type == "integer" || type == "smallint" || type == "integer[]" || type == "smallint[]";
}

template <typename Sink>
[[nodiscard]] bool put_number(Sink& sink, Reader& reader, Form form, Bytes type) {
    int64_t number = 0;
    if (!reader.read_int(number)) return false;
    const bool quoted = form != Form::kInt || !is_small(type);
    if (quoted) put(sink, "\"");
    if (form == Form::kInt) {
        put_signed(sink, number);
    } else if (form == Form::kDate) {
        if (number < INT32_MIN || number > INT32_MAX) return false;
        put_date(sink, static_cast<int32_t>(number));
    } else {
        put_timestamp(sink, number, ' ', form == Form::kTimestampTz ? "+00" : "", false);
    }
    if (quoted) put(sink, "\"");
    return true;
}

template <typename Sink>
[[nodiscard]] bool put_binary(Sink& sink, Reader& reader, Form form) {
    Bytes bytes;
    if (!reader.read_bin(bytes) || (form == Form::kUuid && bytes.size() != 16)) return false;
    put(sink, form == Form::kUuid ? "\"" : "\"\\\\x");
    form == Form::kUuid ? put_uuid(sink, bytes) : put_hex(sink, bytes);
    put(sink, "\"");
    return true;
}

template <typename Floats, typename Sink>
[[nodiscard]] bool put_scalar(Sink& sink, Reader& reader, Form form, Bytes type) {
    if (reader.read_nil()) {
        put(sink, "null");
        return true;
    }
    Bytes text;
    bool truth = false;
    float single = 0;
    double real = 0;
    switch (form) {
        case Form::kBool:
            if (!reader.read_bool(truth)) return false;
            put(sink, truth ? "true" : "false");
            return true;
        case Form::kInt:
        case Form::kTimestamp:
        case Form::kTimestampTz:
        case Form::kDate:
            return put_number(sink, reader, form, type);
        case Form::kUuid:
        case Form::kBytes:
            return put_binary(sink, reader, form);
        case Form::kFloat4:
            if (!reader.read_float32(single)) return false;
            put_float<Floats>(sink, single);
            return true;
        case Form::kFloat8:
            if (!reader.read_float64(real)) return false;
            put_float<Floats>(sink, real);
            return true;
        case Form::kText:
        case Form::kNumeric:
        case Form::kJson:
            if (!reader.read_str(text)) return false;
            put_json_string(sink, text);
            return true;
    }
    return false;
}

// Writes what walk_array() visits.
template <typename Floats, typename Sink>
struct ArrayWriter {
    Sink& sink;
    Form form;
    Bytes type;
    bool first = true;

    void separate() {
        if (!first) put(sink, ",");
        first = false;
    }
    void open(uint32_t) {
        separate();
        put(sink, "[");
        first = true;
    }
    void close() {
        put(sink, "]");
        first = false;
    }
    bool element(Reader& reader) {
        separate();
        return put_scalar<Floats>(sink, reader, form, type);
    }
};

}  // namespace detail

// Reads one value of `column` and writes it as JSON. False if the value is not of the column's form; what was written
// by then is good for nothing.
template <typename Floats, typename Sink>
[[nodiscard]] bool put_json_value(Sink& sink, Reader& reader, const Column& column) {
    const Form form = element_form(column.form);
    if (!is_array(column.form) || reader.peek() == Type::kNil)
        return detail::put_scalar<Floats>(sink, reader, form, column.type);
    // An array whose lower bounds are not 1 comes as its text.
    if (reader.peek() == Type::kStr) return detail::put_scalar<Floats>(sink, reader, Form::kText, column.type);
    detail::ArrayWriter<Floats, Sink> writer{sink, form, column.type};
    Dimensions dimensions;
    return walk_array(reader, writer, dimensions);
}

}  // namespace paysync::wire

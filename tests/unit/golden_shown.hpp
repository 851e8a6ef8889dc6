// Changes and their values by the conventions of tests/golden/README.md.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>

#include "clients/cpp/paysync.hpp"
#include "wire/dates.hpp"
#include "wire/digest.hpp"

namespace paysync::testing {

using nlohmann::json;
using wire::Bytes;

inline std::string to_hex(Bytes bytes) {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string hex;
    for (const char c : bytes) {
        hex += kHex[static_cast<uint8_t>(c) >> 4];
        hex += kHex[static_cast<uint8_t>(c) & 15];
    }
    return hex;
}

inline std::string show_digest(const wire::Digest& digest) {
    char bytes[wire::kDigestBytes];
    wire::put_digest(bytes, digest);
    return to_hex(Bytes(bytes, sizeof bytes));
}

inline std::string show_time(int64_t microseconds, bool zone) {
    std::string text;
    wire::put_timestamp(text, microseconds, ' ', zone ? "+00" : "", false);
    return text;
}

template <typename Bits, typename Number>
json show_float(Number number) {
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
    char bytes[8];
    wire::put_u64(bytes, std::bit_cast<Bits>(number));
    return to_hex(Bytes(bytes + 8 - sizeof number, sizeof number));
}

// A Value or Scalar.
template <typename Any>
json show_single(const Any& value) {
    if (std::holds_alternative<std::monostate>(value)) return nullptr;
    if (const auto* truth = std::get_if<bool>(&value)) return *truth;
    if (const auto* number = std::get_if<int64_t>(&value)) return std::to_string(*number);
    if (const auto* numeric = std::get_if<Numeric>(&value)) return numeric->text;
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* time = std::get_if<Timestamp>(&value)) return time->text();
    if (const auto* uuid = std::get_if<Uuid>(&value)) return uuid->text();
    if (const auto* number = std::get_if<float>(&value)) return show_float<uint32_t>(*number);
    if (const auto* number = std::get_if<double>(&value)) return show_float<uint64_t>(*number);
    if (const auto* binary = std::get_if<Binary>(&value)) return to_hex(binary->bytes);
    if (const auto* date = std::get_if<Date>(&value)) return date->text();
    return std::get<Json>(value).text;
}

// The part of an array from `element` on that the dimensions from `dimension` on span.
inline json show_part(const Array& array, size_t dimension, size_t& element) {
    json part = json::array();
    for (uint32_t i = 0; i < array.lengths.at(dimension); ++i) {
        if (dimension + 1 < array.lengths.size()) {
            part.push_back(show_part(array, dimension + 1, element));
        } else {
            part.push_back(show_single(array.elements.at(element++)));
        }
    }
    return part;
}

inline json show_value(const Value& value) {
    if (const auto* text = std::get_if<ArrayText>(&value)) return text->text;
    const auto* array = std::get_if<Array>(&value);
    if (array == nullptr) return show_single(value);
    size_t element = 0;
    const json shown = array->lengths.empty() ? json::array() : show_part(*array, 0, element);
    EXPECT_EQ(element, array->elements.size());
    return shown;
}

inline json show_columns(const Table& table, const std::vector<std::pair<uint32_t, Value>>& values) {
    json shown = json::object();
    for (const auto& [column, value] : values) shown[table.columns[column].name] = show_value(value);
    return shown;
}

inline json show_change(const Change& change) {
    static constexpr const char* kNames[] = {"insert", "update", "delete", "truncate", "event", "gap", "alter"};
    json shown = {{"op", kNames[static_cast<int>(change.operation)]},
                  {"channel", change.channel},
                  {"command", std::to_string(change.command)},
                  {"digest", show_digest(wire::digest_of(change.bytes))}};
    if (change.event) {
        shown["type"] = change.event->type;
        shown["key"] = change.event->key ? json(*change.event->key) : json(nullptr);
        shown["headers"] = change.event->headers.text;
        shown["payload"] = change.event->payload.text;
        return shown;
    }
    const Table& table = *change.table;
    shown["shape"] = std::to_string(table.shape);
    shown["schema"] = table.schema;
    shown["table"] = table.name;
    if (change.operation == Operation::kGap) {
        shown["reason"] = change.reason;
        return shown;
    }
    if (change.operation == Operation::kAlter) {
        shown["previous"] = std::to_string(change.previous->shape);
        shown["values"] = show_columns(table, change.added_values);
        return shown;
    }
    shown["old"] = shown["new"] = shown["key"] = nullptr;
    if (!change.new_values.empty()) {
        shown["new"] = json::object();
        for (size_t i = 0; i < change.new_values.size(); ++i)
            shown["new"][table.columns[i].name] = show_value(change.new_values[i]);
    }
    if (!change.old_values.empty() || change.operation == Operation::kDelete)
        shown["old"] = show_columns(table, change.old_values);
    if (change.operation == Operation::kTruncate) return shown;
    shown["key"] = json::object();
    const std::vector<const Value*> key = change.key();
    EXPECT_EQ(key.size(), table.key.size());
    for (size_t i = 0; i < key.size(); ++i) shown["key"][table.columns[table.key[i]].name] = show_value(*key[i]);
    return shown;
}

}  // namespace paysync::testing

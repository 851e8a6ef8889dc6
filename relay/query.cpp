// Parameters to text, binary values to numbers and strings.
#include "query.hpp"

#include <stdexcept>

#include "wire/digest.hpp"

namespace paysync::relay {

namespace {

// Types of the catalogue that never change their numbers.
constexpr Oid kInt8 = 20;
constexpr Oid kInt4 = 23;
constexpr Oid kBool = 16;
constexpr Oid kText = 25;
constexpr Oid kUuid = 2950;
constexpr Oid kInt8Array = 1016;
constexpr Oid kTextArray = 1009;
constexpr Oid kBoolArray = 1000;

template <typename Values, typename Write>
std::string array_text(const Values& values, Write write) {
    std::string out = "{";
    for (const auto& value : values) {
        if (out.size() > 1) out += ',';
        write(out, value);
    }
    out += '}';
    return out;
}

uint32_t read_u32(std::string_view bytes, size_t at) {
    if (at + 4 > bytes.size()) throw std::runtime_error("an array from the database is cut off");
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
    return value;
}

// Calls `take` with the bytes of each element of a binary array: dimensions, flags, element type, then per dimension
// length and lower bound, then length and bytes of each element.
template <typename Take>
void for_elements(std::string_view value, Take take) {
    const uint32_t dimensions = read_u32(value, 0);
    if (dimensions == 0) return;
    if (dimensions != 1) throw std::runtime_error("the database gave no plain array where one was agreed on");
    const uint32_t elements = read_u32(value, 12);
    size_t at = 20;
    for (uint32_t i = 0; i < elements; ++i) {
        const uint32_t length = read_u32(value, at);
        at += 4;
        // A NULL has length -1, which no value has bytes for.
        if (length > value.size() - at) throw std::runtime_error("an array from the database is cut off");
        take(value.substr(at, length));
        at += length;
    }
}

}  // namespace

Query& Query::add(Oid type, std::optional<std::string> value) {
    types_.push_back(type);
    values_.push_back(std::move(value));
    return *this;
}

Query& Query::bigint(int64_t value) { return add(kInt8, std::to_string(value)); }
Query& Query::integer(int32_t value) { return add(kInt4, std::to_string(value)); }
Query& Query::text(std::optional<std::string> value) { return add(kText, std::move(value)); }
Query& Query::boolean(bool value) { return add(kBool, value ? "t" : "f"); }

Query& Query::uuid(std::optional<std::string_view> bytes) {
    static constexpr char kHex[] = "0123456789abcdef";
    if (!bytes) return add(kUuid, std::nullopt);
    std::string hex;
    for (const char c : *bytes) {
        hex += kHex[static_cast<uint8_t>(c) >> 4];
        hex += kHex[static_cast<uint8_t>(c) & 15];
    }
    return add(kUuid, hex);
}

Query& Query::bigints(const std::vector<int64_t>& values) {
    return add(kInt8Array, array_text(values, [](std::string& out, int64_t value) { out += std::to_string(value); }));
}

Query& Query::texts(const std::vector<std::string>& values) {
    return add(kTextArray, array_text(values, [](std::string& out, const std::string& value) {
                   out += '"';
                   for (const char c : value) {
                       if (c == '"' || c == '\\') out += '\\';
                       out += c;
                   }
                   out += '"';
               }));
}

Query& Query::booleans(const std::vector<bool>& values) {
    return add(kBoolArray, array_text(values, [](std::string& out, bool value) { out += value ? 't' : 'f'; }));
}

bool Query::prepare(PGconn* connection, const std::string& name) const {
    return PQsendPrepare(connection, name.c_str(), text_.c_str(), static_cast<int>(types_.size()), types_.data()) == 1;
}

bool Query::send(PGconn* connection, const std::string& name) const {
    std::vector<const char*> pointers;
    pointers.reserve(values_.size());
    for (const auto& value : values_) pointers.push_back(value ? value->c_str() : nullptr);
    const int count = static_cast<int>(values_.size());
    if (!name.empty()) {
        return PQsendQueryPrepared(connection, name.c_str(), count, pointers.data(), nullptr, nullptr, 1) == 1;
    }
    return PQsendQueryParams(connection, text_.c_str(), count, types_.data(), pointers.data(), nullptr, nullptr, 1) ==
           1;
}

std::string_view Rows::bytes(int row, int column) const {
    if (row >= count() || column >= PQnfields(result_.get()) || PQgetisnull(result_.get(), row, column)) {
        throw std::runtime_error("the database gave no value where one was agreed on");
    }
    return {PQgetvalue(result_.get(), row, column), static_cast<size_t>(PQgetlength(result_.get(), row, column))};
}

int64_t Rows::bigint(int row, int column) const {
    const std::string_view value = bytes(row, column);
    if (value.size() != 8) throw std::runtime_error("the database gave no bigint where one was agreed on");
    return static_cast<int64_t>(wire::get_u64(value.data()));
}

int32_t Rows::integer(int row, int column) const {
    const std::string_view value = bytes(row, column);
    if (value.size() != 4) throw std::runtime_error("the database gave no integer where one was agreed on");
    return static_cast<int32_t>(read_u32(value, 0));
}

std::vector<std::string> Rows::texts(int row, int column) const {
    std::vector<std::string> out;
    for_elements(bytes(row, column), [&out](std::string_view element) { out.emplace_back(element); });
    return out;
}

std::vector<int64_t> Rows::bigints(int row, int column) const {
    std::vector<int64_t> out;
    for_elements(bytes(row, column), [&out](std::string_view element) {
        if (element.size() != 8)
            throw std::runtime_error("the database gave no array of bigint where one was agreed on");
        out.push_back(static_cast<int64_t>(wire::get_u64(element.data())));
    });
    return out;
}

}  // namespace paysync::relay

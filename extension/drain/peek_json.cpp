#include "drain/peek_json.hpp"

#include "drain/closing_scan.hpp"
#include "wire/json.hpp"

namespace paysync {
namespace {

// How PostgreSQL itself prints the shortest text that reads back exactly.
struct ServerFloats {
    static size_t write(char* out, float number) {
        return static_cast<size_t>(float_to_shortest_decimal_bufn(number, out));
    }
    static size_t write(char* out, double number) {
        return static_cast<size_t>(double_to_shortest_decimal_bufn(number, out));
    }
};
static_assert(DOUBLE_SHORTEST_DECIMAL_LEN <= wire::kFloatText && FLOAT_SHORTEST_DECIMAL_LEN <= wire::kFloatText);

[[noreturn]] void report_damage(int64 shape) {
    ereport(ERROR,
            (errcode(kOutboxMismatch), errmsg("a change does not fit its shape %lld", static_cast<long long>(shape))));
    pg_unreachable();
}

char* to_server_text(const ByteBuffer& utf8) {
    return pg_any_to_server(pnstrdup(utf8.bytes().data(), utf8.size()), static_cast<int>(utf8.size()), PG_UTF8);
}

ByteBuffer new_text() {
    ByteBuffer text{};
    text.start(CurrentMemoryContext);
    return text;
}

void put_member(ByteBuffer& out, const DecodedShape& shape, int column, wire::Bytes value, bool first) {
    wire::Reader reader(value);
    wire::detail::put(out, first ? "{" : ",");
    wire::put_json_string(out, shape.column[column].name);
    wire::detail::put(out, ":");
    if (!wire::put_json_value<ServerFloats>(out, reader, shape.column[column])) report_damage(shape.id);
}

// The values of a row, one view each; null where there is no row.
wire::Bytes* split_row(wire::Bytes row, const DecodedShape& shape) {
    if (row.empty()) return nullptr;
    wire::Reader reader(row);
    uint32_t count = 0;
    if (!reader.read_array(count) || count != static_cast<uint32_t>(shape.columns)) report_damage(shape.id);
    auto* const values = static_cast<wire::Bytes*>(palloc0(sizeof(wire::Bytes) * (count + 1)));
    for (uint32_t i = 0; i < count; ++i)
        if (!wire::detail::read_raw(reader, values[i])) report_damage(shape.id);
    return values;
}

// The values of a map from columns, empty views where it has none; null where there is no map.
wire::Bytes* split_map(wire::Bytes map, const DecodedShape& shape) {
    wire::Reader reader(map);
    uint32_t count = 0;
    if (map.empty() || reader.peek() == wire::Type::kNil) return nullptr;
    if (!reader.read_map(count)) report_damage(shape.id);
    auto* const values =
        static_cast<wire::Bytes*>(palloc0(sizeof(wire::Bytes) * static_cast<size_t>(shape.columns + 1)));
    for (uint32_t i = 0; i < count; ++i) {
        uint64_t column = 0;
        if (!reader.read_uint(column) || column >= static_cast<uint64_t>(shape.columns) || !values[column].empty() ||
            !wire::detail::read_raw(reader, values[column]))
            report_damage(shape.id);
    }
    return values;
}

void put_object(ByteBuffer& out, const wire::Bytes* values, const DecodedShape& shape) {
    bool first = true;
    for (int column = 0; column < shape.columns; ++column) {
        if (values[column].empty()) continue;
        put_member(out, shape, column, values[column], first);
        first = false;
    }
    wire::detail::put(out, first ? "{}" : "}");
}

char* object_of(const wire::Bytes* values, const DecodedShape& shape) {
    if (values == nullptr) return nullptr;
    ByteBuffer out = new_text();
    put_object(out, values, shape);
    return to_server_text(out);
}

// Of the columns of the key, how many `values` has.
int count_key(const wire::Bytes* values, const DecodedShape& shape) {
    int count = 0;
    for (int key = 0; values != nullptr && key < shape.keys; ++key)
        if (!values[shape.key[key]].empty()) count += 1;
    return count;
}

// What finds the row: the old key, or where an update did not change it, the new row's. Old values that hold only some
// of its columns say neither.
char* key_of(const wire::Bytes* old_values, const wire::Bytes* new_values, const DecodedShape& shape) {
    if (shape.keys == 0 || (old_values == nullptr && new_values == nullptr)) return nullptr;
    const int old_keys = count_key(old_values, shape);
    if (old_keys != shape.keys && (old_keys != 0 || new_values == nullptr)) report_damage(shape.id);
    const wire::Bytes* const values = old_keys == 0 ? new_values : old_values;
    ByteBuffer out = new_text();
    for (int key = 0; key < shape.keys; ++key) put_member(out, shape, shape.key[key], values[shape.key[key]], key == 0);
    wire::detail::put(out, "}");
    return to_server_text(out);
}

// {"reason": …} of a gap.
char* reason_of(const wire::Change& change) {
    ByteBuffer out = new_text();
    wire::detail::put(out, "{\"reason\":");
    wire::put_json_string(out, change.reason);
    wire::detail::put(out, "}");
    return to_server_text(out);
}

// {"columns": {name: type …}, "values": {…}} of an alter.
char* alter_of(const wire::Change& change, const DecodedShape& shape) {
    ByteBuffer out = new_text();
    wire::detail::put(out, "{\"columns\":{");
    for (int column = 0; column < shape.columns; ++column) {
        if (column > 0) wire::detail::put(out, ",");
        wire::put_json_string(out, shape.column[column].name);
        wire::detail::put(out, ":");
        wire::put_json_string(out, shape.column[column].type);
    }
    wire::detail::put(out, "},\"values\":");
    put_object(out, split_map(change.values, shape), shape);
    wire::detail::put(out, "}");
    return to_server_text(out);
}

}  // namespace

DecodedShape* decode_shape(int64 id, wire::Bytes description) {
    wire::Reader reader(description);
    wire::ShapeHead head;
    if (!wire::read_shape_head(reader, head)) report_damage(id);
    auto* const shape = static_cast<DecodedShape*>(palloc0(sizeof(DecodedShape)));
    *shape = DecodedShape{id,      head.schema, head.table, head.channel, static_cast<int>(head.columns),
                          nullptr, 0,           nullptr,    nullptr};
    shape->column = static_cast<wire::Column*>(palloc0(sizeof(wire::Column) * (head.columns + 1)));
    for (uint32_t i = 0; i < head.columns; ++i)
        if (!wire::read_column(reader, shape->column[i])) report_damage(id);
    uint32_t keys = 0;
    if (!wire::read_key_count(reader, keys) || keys > head.columns) report_damage(id);
    shape->key = static_cast<int*>(palloc0(sizeof(int) * (keys + 1)));
    for (uint32_t i = 0; i < keys; ++i) {
        uint64_t column = 0;
        if (!reader.read_uint(column) || column >= head.columns) report_damage(id);
        shape->key[shape->keys++] = static_cast<int>(column);
    }
    return shape;
}

ChangeJson change_to_json(const wire::Change& change, const DecodedShape& shape) {
    if (change.operation == wire::Operation::kGap) return ChangeJson{nullptr, nullptr, reason_of(change)};
    if (change.operation == wire::Operation::kAlter) return ChangeJson{nullptr, nullptr, alter_of(change, shape)};
    const wire::Bytes* const new_values = split_row(change.new_row, shape);
    const wire::Bytes* const old_values = split_map(change.old_row, shape);
    return ChangeJson{key_of(old_values, new_values, shape), object_of(old_values, shape),
                      object_of(new_values, shape)};
}

ChangeJson event_to_json(const wire::Change& change) {
    ByteBuffer key = new_text();
    if (change.event_has_key) wire::put_json_string(key, change.event_key);
    ByteBuffer body = new_text();
    wire::detail::put(body, "{\"type\":");
    wire::put_json_string(body, change.event_type);
    wire::detail::put(body, ",\"headers\":");
    wire::detail::put(body, change.headers);
    wire::detail::put(body, ",\"payload\":");
    wire::detail::put(body, change.payload);
    wire::detail::put(body, "}");
    return ChangeJson{change.event_has_key ? to_server_text(key) : nullptr, nullptr, to_server_text(body)};
}

const char* operation_name(wire::Operation operation) {
    static const char* const kNames[] = {"insert", "update", "delete", "truncate", "event", "gap", "alter"};
    return kNames[static_cast<int>(operation)];
}

}  // namespace paysync

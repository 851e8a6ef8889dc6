#include "capture/row_encoder.hpp"

#include "capture/image.hpp"
#include "capture/pinned_settings.hpp"
#include "capture/value_encoder.hpp"

namespace paysync {
namespace {

// A tuple's values by attribute.
struct Row {
    Datum* values;
    bool* nulls;
};

Row take_apart(Relation relation, const CapturedTable& table, HeapTuple tuple) {
    const size_t attributes = static_cast<size_t>(table.attributes);
    const Row row{static_cast<Datum*>(palloc(sizeof(Datum) * attributes)),
                  static_cast<bool*>(palloc(sizeof(bool) * attributes))};
    heap_deform_tuple(tuple, RelationGetDescr(relation), row.values, row.nulls);
    return row;
}

void pack_column(Packer& packer, CapturedColumn& column, const Row& row) {
    pack_nullable(packer, column.coding, row.values[column.attribute], row.nulls[column.attribute]);
}

void pack_row(Packer& packer, const CapturedTable& table, const Row& row) {
    packer.pack_array(static_cast<uint32_t>(table.columns));
    for (int i = 0; i < table.columns; ++i) pack_column(packer, table.column[i], row);
}

// A row as a map from positions.
void pack_old_row(Packer& packer, const CapturedTable& table, const Row& row) {
    packer.pack_map(static_cast<uint32_t>(table.columns));
    for (int i = 0; i < table.columns; ++i) {
        packer.pack_int(i);
        pack_column(packer, table.column[i], row);
    }
}

void pack_key(Packer& packer, Relation relation, const CapturedTable& table, HeapTuple tuple) {
    packer.pack_map(static_cast<uint32_t>(table.keys));
    int packed = 0;
    for (int i = 0; packed < table.keys; ++i) {
        CapturedColumn& column = table.column[i];
        if (!column.is_key) continue;
        bool is_null = false;
        const Datum value = heap_getattr(tuple, column.attribute + 1, RelationGetDescr(relation), &is_null);
        packer.pack_int(i);
        pack_nullable(packer, column.coding, value, is_null);
        packed += 1;
    }
}

bool key_changed(Relation relation, const CapturedTable& table, HeapTuple new_tuple, HeapTuple old_tuple) {
    for (int key = 0; key < table.keys; ++key) {
        const CapturedColumn& column = table.column[table.key[key]];
        bool new_null = false;
        bool old_null = false;
        const Datum new_value = heap_getattr(new_tuple, column.attribute + 1, RelationGetDescr(relation), &new_null);
        const Datum old_value = heap_getattr(old_tuple, column.attribute + 1, RelationGetDescr(relation), &old_null);
        if (new_null != old_null) return true;
        if (!new_null && !same_image(new_value, old_value, column.by_value, column.length)) return true;
    }
    return false;
}

bool differs(const CapturedColumn& column, const Row& left, const Row& right) {
    const int at = column.attribute;
    if (left.nulls[at] || right.nulls[at]) return left.nulls[at] != right.nulls[at];
    return !same_image(left.values[at], right.values[at], column.by_value, column.length);
}

// The columns that changed; all of the key if any of it did.
void pack_changed(Packer& packer, const CapturedTable& table, const Row& new_row, const Row& old_row) {
    auto* const tells = static_cast<bool*>(palloc(static_cast<size_t>(table.columns)));
    bool tells_key = false;
    for (int i = 0; i < table.columns; ++i) {
        tells[i] = differs(table.column[i], new_row, old_row);
        tells_key = tells_key || (tells[i] && table.column[i].is_key);
    }
    uint32_t count = 0;
    for (int i = 0; i < table.columns; ++i) {
        tells[i] = tells[i] || (tells_key && table.column[i].is_key);
        count += tells[i] ? 1 : 0;
    }
    if (count == 0) {
        packer.pack_nil();
        return;
    }
    packer.pack_map(count);
    for (int i = 0; i < table.columns; ++i) {
        if (!tells[i]) continue;
        packer.pack_int(i);
        pack_column(packer, table.column[i], old_row);
    }
}

void pack_update(Packer& packer, Relation relation, const CapturedTable& table, HeapTuple new_tuple,
                 HeapTuple old_tuple) {
    const Row new_row = take_apart(relation, table, new_tuple);
    pack_row(packer, table, new_row);
    switch (table.old_values) {
        case OldValues::kNone:
        case OldValues::kKey:
            if (key_changed(relation, table, new_tuple, old_tuple)) {
                pack_key(packer, relation, table, old_tuple);
            } else {
                packer.pack_nil();
            }
            break;
        case OldValues::kChanged:
            pack_changed(packer, table, new_row, take_apart(relation, table, old_tuple));
            break;
        case OldValues::kFull:
            pack_old_row(packer, table, take_apart(relation, table, old_tuple));
            break;
    }
}

void pack_delete(Packer& packer, Relation relation, const CapturedTable& table, HeapTuple old_tuple) {
    if (table.old_values == OldValues::kChanged || table.old_values == OldValues::kFull) {
        pack_old_row(packer, table, take_apart(relation, table, old_tuple));
    } else {
        pack_key(packer, relation, table, old_tuple);
    }
}

}  // namespace

void encode_row_change(ByteBuffer& out, Relation relation, const CapturedTable& table, wire::Operation operation,
                       CommandId command, HeapTuple new_tuple, HeapTuple old_tuple) {
    const int settings = table.pins_settings ? pin_settings(table.pins_path) : -1;
    Packer packer(out);
    packer.pack_array(operation == wire::Operation::kUpdate ? 5 : 4);
    packer.pack_uint64(static_cast<uint64>(operation));
    packer.pack_int64(table.shape);
    packer.pack_uint64(command);
    if (operation == wire::Operation::kInsert) {
        pack_row(packer, table, take_apart(relation, table, new_tuple));
    } else if (operation == wire::Operation::kUpdate) {
        pack_update(packer, relation, table, new_tuple, old_tuple);
    } else {
        pack_delete(packer, relation, table, old_tuple);
    }
    if (table.pins_settings) leave_settings(settings);
}

bool is_unchanged(Relation relation, const CapturedTable& table, HeapTuple new_tuple, HeapTuple old_tuple) {
    const Row new_row = take_apart(relation, table, new_tuple);
    const Row old_row = take_apart(relation, table, old_tuple);
    for (int i = 0; i < table.columns; ++i)
        if (differs(table.column[i], new_row, old_row)) return false;
    return true;
}

}  // namespace paysync

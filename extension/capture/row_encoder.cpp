#include "capture/row_encoder.hpp"

namespace paysync {
namespace {

// Pins the settings that output functions look at, until leave_settings(). An error puts them back too.
int pin_settings(bool path) {
    const int level = NewGUCNestLevel();
    auto pin = [](const char* name, const char* value) {
        set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    };
    if (DateStyle != USE_ISO_DATES) pin("datestyle", "ISO");
    if (IntervalStyle != INTSTYLE_POSTGRES) pin("intervalstyle", "postgres");
    if (extra_float_digits < 1) pin("extra_float_digits", "1");
    if (quote_all_identifiers) pin("quote_all_identifiers", "off");
    if (strcmp(locale_monetary, "C") != 0) pin("lc_monetary", "C");
    if (bytea_output != BYTEA_OUTPUT_HEX) pin("bytea_output", "hex");
    if (strcmp(pg_get_timezone_name(session_timezone), "UTC") != 0) pin("timezone", "UTC");
    if (path) pin("search_path", "pg_catalog, pg_temp");
    return level;
}

void leave_settings(int level) { AtEOXact_GUC(true, level); }

void pack_varlena_text(Packer& packer, Datum value) {
    struct varlena* const text = pg_detoast_datum_packed(reinterpret_cast<struct varlena*>(DatumGetPointer(value)));
    pack_text(packer, to_utf8(VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text)));
}

void pack_value(Packer& packer, CapturedColumn& column, Datum value) {
    switch (column.form) {
        case wire::Form::kBool:
            if (DatumGetBool(value)) {
                packer.pack_true();
            } else {
                packer.pack_false();
            }
            break;
        case wire::Form::kInt:
            if (column.length == sizeof(int64)) {
                packer.pack_int64(DatumGetInt64(value));
            } else if (column.length == sizeof(int16)) {
                packer.pack_int64(DatumGetInt16(value));
            } else if (column.is_oid) {
                packer.pack_int64(DatumGetObjectId(value));
            } else {
                packer.pack_int64(DatumGetInt32(value));
            }
            break;
        case wire::Form::kTimestamp:
        case wire::Form::kTimestampTz:
            packer.pack_int64(DatumGetTimestamp(value));
            break;
        case wire::Form::kUuid:
            pack_bytes(packer, wire::Bytes(reinterpret_cast<const char*>(DatumGetUUIDP(value)->data), UUID_LEN));
            break;
        case wire::Form::kText:
        case wire::Form::kNumeric:
        case wire::Form::kJson:
            if (column.is_text) {
                pack_varlena_text(packer, value);
            } else {
                pack_text(packer, to_utf8(OutputFunctionCall(&column.output, value)));
            }
            break;
    }
}

void pack_nullable(Packer& packer, CapturedColumn& column, Datum value, bool is_null) {
    if (is_null) {
        packer.pack_nil();
    } else {
        pack_value(packer, column, value);
    }
}

void pack_row(Packer& packer, Relation relation, const CapturedTable& table, HeapTuple tuple) {
    const size_t attributes = static_cast<size_t>(table.attributes);
    auto* const values = static_cast<Datum*>(palloc(sizeof(Datum) * attributes));
    auto* const nulls = static_cast<bool*>(palloc(sizeof(bool) * attributes));
    heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
    packer.pack_array(static_cast<uint32_t>(table.columns));
    for (int column = 0; column < table.columns; ++column) {
        const int attribute = table.attribute_of[column];
        pack_nullable(packer, table.column[column], values[attribute], nulls[attribute]);
    }
}

void pack_key(Packer& packer, Relation relation, const CapturedTable& table, HeapTuple tuple) {
    packer.pack_map(static_cast<uint32_t>(table.keys));
    for (int key = 0; key < table.keys; ++key) {
        bool is_null = false;
        const Datum value =
            heap_getattr(tuple, table.attribute_of[table.key[key]] + 1, RelationGetDescr(relation), &is_null);
        packer.pack_int(table.key[key]);
        pack_nullable(packer, table.column[table.key[key]], value, is_null);
    }
}

// Compares images, not by the type's `=`: 1.0 and 1.00 are different keys to a subscriber.
bool key_changed(Relation relation, const CapturedTable& table, HeapTuple new_tuple, HeapTuple old_tuple) {
    for (int key = 0; key < table.keys; ++key) {
        const int column = table.key[key];
        const int attribute = table.attribute_of[column] + 1;
        bool new_null = false;
        bool old_null = false;
        const Datum new_value = heap_getattr(new_tuple, attribute, RelationGetDescr(relation), &new_null);
        const Datum old_value = heap_getattr(old_tuple, attribute, RelationGetDescr(relation), &old_null);
        if (new_null != old_null) return true;
        if (!new_null &&
            !datum_image_eq(new_value, old_value, table.column[column].by_value, table.column[column].length))
            return true;
    }
    return false;
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
    if (new_tuple != nullptr) pack_row(packer, relation, table, new_tuple);
    if (operation == wire::Operation::kUpdate && !key_changed(relation, table, new_tuple, old_tuple)) {
        packer.pack_nil();
    } else if (old_tuple != nullptr) {
        pack_key(packer, relation, table, old_tuple);
    }
    if (table.pins_settings) leave_settings(settings);
}

void encode_truncate(ByteBuffer& out, const CapturedTable& table, CommandId command) {
    Packer packer(out);
    packer.pack_array(3);
    packer.pack_uint64(static_cast<uint64>(wire::Operation::kTruncate));
    packer.pack_int64(table.shape);
    packer.pack_uint64(command);
}

}  // namespace paysync

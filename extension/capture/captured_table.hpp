// What capture knows of a registered table: how each column's values are taken from a tuple and packed, what names a
// row, and what the registration asks for. Filled by relation_cache.cpp, kept a session.
#pragma once

#include "postgres.hpp"

#include "wire/shape.hpp"

namespace paysync {

struct ColumnMask;
struct RowFilter;
struct ArrayCoding;

// How a value gets into msgpack. Chosen once a table, so that a row costs one branch a value.
enum class Encoder : uint8_t {
    kBool,
    kInt2,
    kInt4,
    kInt8,
    kOid,
    kUuid,
    kFloat4,
    kFloat8,
    kBytes,
    kVarlenaText,  // a varlena whose bytes are the text itself
    kJsonb,        // its text
    kOutput,       // what the type's output function prints
    kArray,
    kMasked
};

struct ValueCoding {
    Encoder encoder;
    FmgrInfo output;           // the type's output function
    const ArrayCoding* array;  // of an array that is packed as one
    ColumnMask* mask;          // of a masked column
};

struct CapturedColumn {
    wire::Form form;  // of what is sent
    bool is_key;
    bool by_value;  // pg_attribute.attbyval and attlen, to compare images
    int16 length;
    int attribute;  // of the tuple, from 0
    int16 number;   // attnum in the table whose shape it is
    ValueCoding coding;
};

// What is sent of the row as it was, beside what names it. kNone differs from kKey only in that no key is needed.
enum class OldValues : uint8_t { kNone, kKey, kChanged, kFull };

struct CapturedTable {
    Oid relation;  // hash key
    bool valid;
    bool shape_is_new;  // its row in paysync.shapes was added by a transaction that is still open
    bool insert_only;
    bool needs_key;         // updates and deletes are refused without one
    bool skip_unchanged;    // updates in which no column that is sent changed are left out
    bool reports_parts;     // partitions and inheriting tables under their own names
    bool reported_as_root;  // rows are those of `registered`, another relation
    bool key_is_named;      // by the registration, not by the primary key
    bool pins_settings;     // a column's text may depend on the session's settings
    bool pins_path;         // … and on its search path
    bool selects_rows;      // by a filter, or because they did not change
    bool calls_out;         // functions of users may run while a row is encoded or filtered
    OldValues old_values;
    Oid registered;  // the relation that the registration names
    int attributes;  // of the tuple, dropped ones included
    int columns;     // of the shape
    CapturedColumn* column;
    int keys;
    int* key;           // positions in columns, in the key's order
    RowFilter* filter;  // null: all rows
    int64 shape;
    const char* channel;  // interned
    int ancestors;        // relations by which the registration was found; if one is altered, all is looked up again
    Oid* ancestor;
    uint64 gap_mark;  // gap.hpp
    MemoryContext memory;
};

}  // namespace paysync

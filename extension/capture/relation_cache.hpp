// What capture needs to know of a registered table, kept a session and looked up again after the table or its
// registration was altered.
#pragma once

#include "postgres.hpp"

#include "wire/shape.hpp"

namespace paysync {

// How one column's values are taken from a tuple.
struct CapturedColumn {
    wire::Form form;
    bool is_text;   // a varlena whose bytes are the text itself
    bool is_oid;    // unsigned 32 bits
    bool by_value;  // pg_attribute.attbyval and attlen, to compare key values
    int16 length;
    FmgrInfo output;  // the type's output function
};

struct CapturedTable {
    Oid relation;  // hash key
    bool valid;
    bool shape_is_new;  // its row in paysync.shapes was added by a transaction that is still open
    bool insert_only;
    bool pins_settings;  // a column's text may depend on the session's settings
    bool pins_path;      // … and on its search path
    int attributes;      // of the tuple, dropped ones included
    int columns;         // of the shape
    int* attribute_of;   // column -> attribute, from 0
    CapturedColumn* column;
    int keys;
    int* key;  // positions in columns
    int64 shape;
    const char* channel;  // interned
    MemoryContext memory;
};

// The facts of `relation`, which must be open. Adds its shape to paysync.shapes where that is not known yet.
// Error 55000 if it is not registered.
const CapturedTable& captured_table(Relation relation);

// The transaction that added shapes committed, so that later ones may name them; or it, or a savepoint of it, was
// rolled back, and they must be looked up again. Cannot fail.
void keep_new_shapes();
void forget_new_shapes();

// Installs the invalidation callback; called once, when the library is loaded.
void watch_relations();

}  // namespace paysync

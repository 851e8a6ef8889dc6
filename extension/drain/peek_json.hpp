// Changes as rows a person can read: what peek() gives.
#pragma once

#include "byte_buffer.hpp"
#include "wire/change.hpp"
#include "wire/shape.hpp"

namespace paysync {

// A shape taken apart, good as long as its memory.
struct DecodedShape {
    int64 id;
    wire::Bytes schema;
    wire::Bytes table;
    wire::Bytes channel;
    int columns;
    wire::Column* column;
    int keys;
    int* key;
    DecodedShape* next;
};

// Takes a description apart; memory in the current context. Error PS010 if it is damaged.
DecodedShape* decode_shape(int64 id, wire::Bytes description);

// JSON objects of a change, as text; null pointers where it has none. A gap has its reason in `new_row`, an alter the
// columns as they are now and the values of new ones.
struct ChangeJson {
    char* key;
    char* old_row;
    char* new_row;
};

// Error PS010 if the change does not fit its shape.
ChangeJson change_to_json(const wire::Change& change, const DecodedShape& shape);
// An event: key, and type, headers and payload as `new`.
ChangeJson event_to_json(const wire::Change& change);

// insert, update, delete, truncate, event, gap, alter.
const char* operation_name(wire::Operation operation);

}  // namespace paysync

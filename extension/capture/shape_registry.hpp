// Shapes: finding a table's in paysync.shapes, or adding it.
#pragma once

#include "capture/relation_cache.hpp"

namespace paysync {

// The form in which values of a base type are encoded.
wire::Form form_of_type(Oid base_type);

// The index of the table's primary key, if it can identify a row at any time (valid, not deferrable), else InvalidOid.
Oid key_index(Relation relation);

// The id of the shape that `table` (columns, key and channel filled) has now. Where none is known it is added, in the
// running transaction, and `is_new` is set. Two sessions that meet a new shape at once may both add it: one more row,
// but neither waits for the other.
int64 shape_of(Relation relation, const CapturedTable& table, bool& is_new);

}  // namespace paysync

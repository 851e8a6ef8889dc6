// Shapes: finding a table's in paysync.shapes, or adding it.
#pragma once

#include "capture/relation_cache.hpp"

namespace paysync {

// A shape that is written down.
struct StoredShape {
    wire::Bytes description;  // msgpack, docs/wire.md §2; in the current memory context
    const char* channel;      // interned
};

// The id of the shape that `table` has now, described by `shaped`, the relation as which its rows are reported. Where
// none is known it is added, in the running transaction, and `is_new` is set. Two sessions that meet a new shape at
// once may both add it: one more row, but neither waits for the other.
int64 shape_of(Relation shaped, const CapturedTable& table, bool& is_new);

// The shape `id`. Error 55000 if there is none.
StoredShape read_shape(int64 id);

}  // namespace paysync

// Arrays (docs/wire.md §2): nested msgpack arrays, all of one depth of the same length, none of them empty but the
// whole.
#pragma once

#include "wire/shape.hpp"

namespace paysync::wire {

// The lengths of an array's dimensions, the outermost first; none of an empty array.
struct Dimensions {
    int count = 0;
    uint32_t length[kMostDimensions] = {};
};

// Reads an array and calls `visitor` in the order of the bytes: open(length) and close() around each array,
// element(reader), which must take one value and says whether it is good, for each element; the innermost arrays are
// those that hold elements. False where the bytes are no array of this format or an element is not good; nothing is
// allocated, and what was visited by then counts for nothing.
template <typename Visitor>
[[nodiscard]] bool walk_array(Reader& reader, Visitor& visitor, Dimensions& dimensions) {
    uint32_t left[kMostDimensions] = {};
    bool has_elements = false;  // from the first element on, dimensions.count stands
    int depth = 0;
    dimensions = Dimensions{};
    if (!reader.read_array(left[0])) return false;
    visitor.open(left[0]);
    if (left[0] > 0) dimensions.count = 1;
    dimensions.length[0] = left[0];
    for (;;) {
        if (left[depth] == 0) {
            visitor.close();
            if (depth == 0) return true;
            depth -= 1;
            continue;
        }
        left[depth] -= 1;
        if (reader.peek() != Type::kArray) {
            if (depth + 1 != dimensions.count || !visitor.element(reader)) return false;
            has_elements = true;
            continue;
        }
        depth += 1;
        if (depth == (has_elements ? dimensions.count : kMostDimensions) || !reader.read_array(left[depth]))
            return false;
        if (depth == dimensions.count) {
            if (left[depth] == 0) return false;
            dimensions.length[depth] = left[depth];
            dimensions.count += 1;
        }
        if (left[depth] != dimensions.length[depth]) return false;
        visitor.open(left[depth]);
    }
}

}  // namespace paysync::wire

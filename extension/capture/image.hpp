// Whether a value changed: by its image, not by the type's `=`. 1.0 and 1.00 are different to a subscriber.
#pragma once

#include "postgres.hpp"

namespace paysync {

inline bool same_image(Datum left, Datum right, bool by_value, int16 length) {
    if (by_value) return left == right;
    if (length == -1) {
        // As stored the same, which spares fetching a large value that an update left alone.
        const void* const stored = DatumGetPointer(left);
        const size_t size = VARSIZE_ANY(stored);
        if (size == VARSIZE_ANY(DatumGetPointer(right)) && memcmp(stored, DatumGetPointer(right), size) == 0)
            return true;
    }
    return datum_image_eq(left, right, by_value, length);
}

}  // namespace paysync

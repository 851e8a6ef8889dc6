// Single values as msgpack, in the form that docs/wire.md §2 gives their column.
#pragma once

#include "byte_buffer.hpp"
#include "capture/captured_table.hpp"

namespace paysync {

// Packs a value that is not NULL. Values are detoasted and output functions called in the current memory context, which
// the caller resets.
void pack_value(Packer& packer, ValueCoding& coding, Datum value);

// Packs an array whose coding has `array`.
void pack_array_value(Packer& packer, ValueCoding& coding, Datum value);

// The text of a value as its output function prints it, UTF-8, in the current memory context.
wire::Bytes text_of_value(ValueCoding& coding, Datum value);

inline void pack_nullable(Packer& packer, ValueCoding& coding, Datum value, bool is_null) {
    if (is_null) {
        packer.pack_nil();
    } else {
        pack_value(packer, coding, value);
    }
}

}  // namespace paysync

// Which form values of a type have on the wire (docs/wire.md §2), and how they are brought into it.
#pragma once

#include "capture/captured_table.hpp"

namespace paysync {

// An array that is packed as one: its elements' layout in the datum, and how each is packed.
struct ArrayCoding {
    ArrayMetaState layout;  // the first four fields
    ValueCoding element;
};

// Fills `coding` for values of `type`, domains and arrays looked through; what it needs lives in `memory`.
wire::Form code_values(Oid type, ValueCoding& coding, MemoryContext memory);

// Whether the text that the type's output function prints, alone or as an element, may depend on the session's
// settings; and whether on its search path.
bool prints_by_settings(Oid type);
bool prints_by_path(Oid type);

}  // namespace paysync

// Masks: what is sent instead of a value, so that the value itself never reaches the outbox (docs/capture.md).
#pragma once

#include "byte_buffer.hpp"
#include "capture/captured_table.hpp"

namespace paysync {

enum class MaskKind : uint8_t { kNull, kText, kLast4, kFirst6Last4, kToken };

struct MaskKey;

struct ColumnMask {
    MaskKind kind;
    bool is_padded;      // char(n): blanks at the end are no characters of the value
    wire::Bytes text;    // what kText sends, UTF-8
    const char* key;     // name of the key of kToken
    MaskKey* secret;     // read at the first value
    ValueCoding coding;  // of the value itself
    MemoryContext memory;
};

// The mask of `column` in a registration's masks, in `memory`; null if it has none. `coding` and `type` are those of
// the value itself. Error 55000 if the mask is unknown, or of a kind that the type does not take.
ColumnMask* find_mask(Jsonb* masks, const char* column, Oid type, const ValueCoding& coding, MemoryContext memory);

// Error 55000 if a mask is on a column that `relation` does not have: it may have been renamed while nobody looked, and
// would be sent as it is.
void check_masked_columns(Jsonb* masks, Relation relation);

// Whether the mask sends SQL type `text`, whatever the column's own is.
inline bool sends_text(const ColumnMask& mask) { return mask.kind == MaskKind::kText || mask.kind == MaskKind::kToken; }

// Packs what is sent for a value that is not NULL. Error 55000 if a key is not set.
void pack_masked(Packer& packer, ColumnMask& mask, Datum value);

}  // namespace paysync

// Packs what stands at the head of part 0 (docs/outbox.md §1).
#pragma once

#include "byte_buffer.hpp"
#include "capture/totals.hpp"

namespace paysync {

// A manifest larger than this goes into parts of its own, so that the closing record always fits into one.
inline constexpr size_t kMaxInlineManifest = 2048;

// The two arrays channels and shapes, one behind the other, as an array of two.
void pack_manifest(ByteBuffer& out, const LevelTotals& totals);

// The closing record. `manifest` is what pack_manifest() made; it is left out where `manifest_parts` parts hold it.
void pack_closing(ByteBuffer& out, const LevelTotals& totals, bool reorder, wire::Bytes manifest, int32 manifest_parts);

}  // namespace paysync

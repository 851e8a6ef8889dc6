// Makes a raw transaction fit to be sent: shapes found, changes in order, contents compared with what was recorded.
#pragma once

#include "assembler.hpp"
#include "shapes.hpp"
#include "wire/change.hpp"

namespace paysync::relay {

// Moves what the cache has from the ids in `raw.shapes` to the transaction's shapes, which holds it there; the ids that
// are left are missing.
void resolve_shapes(RawTransaction& raw, const ShapeCache& cache);

// Takes `raw` apart. With `verify`, every change is read, and their number and digests, in all and by channel, must be
// what the closing record says; what does not agree comes out as a refusal (501) and must never be sent.
// Of one that is streamed nothing is here yet but the shapes.
[[nodiscard]] TransactionPtr inspect(RawTransaction raw, const ShapeCache& cache, bool verify);

// The shape of that id; null where it is none of the transaction's, which are sorted by id once they are complete.
[[nodiscard]] const ShapePtr* find_shape(const Transaction& transaction, int64_t id);

// The channel of a change of `transaction`: an event's own, else its shape's. False if its shape is not the
// transaction's.
[[nodiscard]] bool channel_of(const Transaction& transaction, const wire::Change& change, wire::Bytes& channel);

}  // namespace paysync::relay

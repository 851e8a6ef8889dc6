// Packs transactions into the body of a BATCH, cut to what a subscriber gets (docs/wire.md §7), shapes into that of
// SHAPES, and the head of a streamed transaction into that of BEGIN (§8).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "selection.hpp"
#include "transaction.hpp"
#include "window.hpp"

namespace paysync::relay {

// How much of a transaction a selection takes.
enum class Share { kNone, kSome, kAll };
[[nodiscard]] Share share_of(const Transaction& transaction, const Selection& selection);

struct Batch {
    uint64_t prev = 0;
    uint64_t last = 0;  // covers prev + 1 to last
    size_t bytes = 0;
    zmq::message_t body;           // shared by everyone it is sent to; libzmq counts the references
    std::vector<ShapePtr> shapes;  // what its changes name
    // Instead of a body: the next transaction cannot be sent to these channels.
    std::shared_ptr<const Refusal> refusal;
    TransactionPtr streamed;  // instead of a body: the next transaction, which comes in parts
};
using BatchPtr = std::shared_ptr<Batch>;

// Packs the transactions of `source` after `prev` up to `last` (which it must reach), stopping at about `target` bytes
// of changes, where the epoch changes, and before a transaction that is streamed or cannot be sent. One transaction
// always fits.
[[nodiscard]] BatchPtr pack_batch(const Window& source, uint64_t prev, uint64_t last, const Selection& selection,
                                  size_t target);

// The body of BEGIN for somebody who has everything up to `prev`.
[[nodiscard]] zmq::message_t pack_begin(const Transaction& transaction, uint64_t prev, const Selection& selection);

// The shapes of a transaction that a selection needs.
void add_shapes(const Transaction& transaction, const Selection& selection, std::vector<ShapePtr>& shapes);

// The body of SHAPES.
[[nodiscard]] zmq::message_t pack_shapes(const std::vector<ShapePtr>& shapes);

// A message that owns `bytes` without copying them.
[[nodiscard]] zmq::message_t adopt(std::string bytes);

}  // namespace paysync::relay

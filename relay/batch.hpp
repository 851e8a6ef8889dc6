// Packs transactions into the body of a BATCH, cut to the channels of a subscriber (docs/wire.md §7), and shapes into
// that of SHAPES.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <zmq.hpp>
#include "transaction.hpp"
#include "window.hpp"

namespace paysync::relay {

// Channel names, sorted, without repeats.
using Channels = std::vector<std::string>;
[[nodiscard]] Channels make_channels(std::vector<std::string> names);

// How much of a transaction a set of channels takes.
enum class Share { kNone, kSome, kAll };
[[nodiscard]] Share share_of(const Transaction& transaction, const Channels& channels);

struct Batch {
    uint64_t prev = 0;
    uint64_t last = 0;  // covers prev + 1 to last
    size_t bytes = 0;
    zmq::message_t body;           // shared by everyone it is sent to; libzmq counts the references
    std::vector<ShapePtr> shapes;  // what its changes name
    // Instead of a body: the next transaction cannot be sent to these channels.
    std::shared_ptr<const Refusal> refusal;
};
using BatchPtr = std::shared_ptr<Batch>;

// Packs the transactions of `source` after `prev` up to `last` (which it must reach), stopping at about `target` bytes
// of changes, where the epoch changes, and before a transaction that cannot be sent. One transaction always fits.
[[nodiscard]] BatchPtr pack_batch(const Window& source, uint64_t prev, uint64_t last, const Channels& channels,
                                  size_t target);

// The body of SHAPES.
[[nodiscard]] zmq::message_t pack_shapes(const std::vector<ShapePtr>& shapes);

// A message that owns `bytes` without copying them.
[[nodiscard]] zmq::message_t adopt(std::string bytes);

}  // namespace paysync::relay

// Bodies of SHAPES and BATCH: taken apart, checked, and made into what the caller gets (docs/wire.md §2, §3, §7).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "paysync.hpp"
#include "wire/reader.hpp"

namespace paysync {

using Shapes = std::unordered_map<int64_t, std::shared_ptr<const Table>>;

// A transaction whose changes are still bytes; all views lie in the body it was parsed from.
struct RawTransaction {
    Position position;
    uint64_t xid = 0;
    int64_t time = 0;
    std::optional<wire::Bytes> origin;
    std::optional<wire::Bytes> context;
    uint64_t total = 0;
    wire::Bytes channels;
    wire::Bytes data;
};

struct Batch {
    uint64_t previous = 0;
    Position last;
    std::vector<RawTransaction> transactions;
};

// Adds what a SHAPES body describes to `shapes`. Throws Error if it is malformed, describes a form that this version
// does not know, or gives a known id another description.
void parse_shapes(wire::Bytes body, Shapes& shapes);

// The outline of a BATCH body. Throws Error if it is malformed or its numbers do not ascend.
[[nodiscard]] Batch parse_batch(wire::Bytes body);

// Throws Error unless every change is of a known shape and count and digest of each channel are what the batch says.
void verify(const RawTransaction& raw, const Shapes& shapes);

// The transaction with its values, after verify(). Throws Error if a value is not of its column's form.
[[nodiscard]] Transaction decode(const RawTransaction& raw, const Shapes& shapes, std::shared_ptr<const void> storage);

}  // namespace paysync

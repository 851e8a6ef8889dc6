// Bodies of SHAPES, BATCH and BEGIN: taken apart, checked, and made into what the caller gets (docs/wire.md §2, §3, §7,
// §8).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "paysync.hpp"
#include "wire/digest.hpp"
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
    uint64_t change_count = 0;  // the sum of the channels'
    wire::Bytes data;           // empty where it comes in parts
    uint64_t bytes = 0;         // of all channels, where it comes in parts; else 0
};

// Number of the changes in a channel, and the sum of their digests.
struct Share {
    uint64_t count = 0;
    wire::Digest digest;
    friend bool operator==(const Share&, const Share&) = default;
};
using Shares = std::map<wire::Bytes, Share>;

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

// The outline of a BEGIN body; `previous`: the number that it goes on after. Throws Error if it is malformed.
[[nodiscard]] RawTransaction parse_begin(wire::Bytes body, uint64_t& previous);

// What was recorded with a transaction. Throws Error if that is malformed.
[[nodiscard]] Shares announced(const RawTransaction& raw);

// The shape with this id. Throws Error, naming the transaction, where there is none.
[[nodiscard]] const std::shared_ptr<const Table>& described(const Position& position, const Shapes& shapes, int64_t id);

// Throws Error unless every change is of a known shape and count and digest of each channel are what the batch says.
void verify(const RawTransaction& raw, const Shapes& shapes);

// What verify() throws where something differs.
[[noreturn]] void not_as_captured(const Position& position);
// What all these throw where bytes are not as the format has them.
[[noreturn]] void malformed(const std::string& what);

// The transaction's head. Throws Error if a text is not UTF-8.
[[nodiscard]] TransactionHead decode_head(const RawTransaction& raw);

// Takes the next change from `reader`, with its values. What `change` was before is forgotten, but its memory is used
// again. Throws Error if it is malformed or a value is not of its column's form.
void decode_change(wire::Reader& reader, const Position& position, const Shapes& shapes, Change& change);

// Appends all that `reader` has. Throws as above.
void decode_changes(wire::Reader& reader, const Position& position, const Shapes& shapes, std::vector<Change>& changes);

// A whole transaction with its values, after verify(). Throws as the two above.
[[nodiscard]] Transaction decode(const RawTransaction& raw, const Shapes& shapes, std::shared_ptr<const void> storage);

}  // namespace paysync

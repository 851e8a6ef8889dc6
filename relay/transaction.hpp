// A source transaction as the relay holds it: whole, read, put in order, checked, not yet cut to anyone's channels; or,
// of one that is streamed, only what was recorded about it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shapes.hpp"
#include "wire/digest.hpp"
#include "wire/frame.hpp"

namespace paysync::relay {

// An ERROR as it is told to a subscriber.
struct Refusal {
    wire::Error code = wire::Error::kBadFrame;
    uint64_t number = 0;
    std::string message;
    std::string detail;
    std::string hint;
};

struct ChannelShare {
    std::string name;
    uint64_t count = 0;
    wire::Digest digest;
};

// An alter in `channel` came from a shape that is of another channel; whoever gets the one needs the other.
struct ForeignShape {
    std::string channel;
    ShapePtr shape;
};

// What the outbox must give back of a transaction that is streamed (docs/wire.md §8).
struct Recorded {
    uint64_t bytes = 0;       // length of the stream of changes, all channels
    uint64_t data_parts = 0;  // rows of it besides the closing record
    wire::Digest digest;
    bool reorder = false;
};

struct Transaction {
    uint64_t number = 0;
    uint64_t epoch = 0;
    std::string nonce;
    uint64_t xid = 0;
    int64_t time = 0;
    std::optional<std::string> origin;
    std::optional<std::string> context;
    uint64_t changes = 0;
    std::vector<ChannelShare> channels;
    wire::Bytes packed_channels;  // the same as it was recorded, which is as it is sent (docs/wire.md §7)
    std::vector<ShapePtr> shapes;
    std::vector<ForeignShape> foreign;
    wire::Bytes data;                     // the changes, in the order in which the rows changed
    std::shared_ptr<const void> storage;  // owns `data` and `packed_channels`: a page of the outbox, as a rule
    std::optional<Recorded> streamed;     // it comes in parts: nothing of it is in `data`
    // Why it cannot be sent. With `channels` known, subscribers of none of them pass over it; else nobody does.
    std::optional<Refusal> refusal;

    // Makes `bytes` its data, with a copy of `packed_channels` behind them.
    void keep(std::string bytes) {
        const size_t length = bytes.size();
        bytes.append(packed_channels);
        const auto owned = std::make_shared<const std::string>(std::move(bytes));
        data = wire::Bytes(*owned).substr(0, length);
        packed_channels = wire::Bytes(*owned).substr(length);
        storage = owned;
    }
    // Bytes of memory, about.
    [[nodiscard]] size_t weight() const {
        return sizeof(Transaction) + data.size() + packed_channels.size() + channels.size() * sizeof(ChannelShare) +
               shapes.size() * sizeof(ShapePtr);
    }
};
using TransactionPtr = std::shared_ptr<const Transaction>;

}  // namespace paysync::relay

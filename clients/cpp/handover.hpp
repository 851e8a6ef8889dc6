// What waits in the inbox, made into what the caller gets: whole transactions, or calls of a sink.
#pragma once

#include "growing.hpp"
#include "inbox.hpp"

namespace paysync {

// Used by the thread that receives.
class Handover {
public:
    // `max_transaction_bytes`: as in Options. `inbox` outlives it.
    Handover(Inbox& inbox, uint64_t max_transaction_bytes);

    // As Subscriber has them.
    [[nodiscard]] std::optional<Transaction> receive(std::chrono::milliseconds timeout);
    [[nodiscard]] bool receive_into(TransactionSink& sink, std::chrono::milliseconds timeout);

private:
    // A transaction that comes in parts, and is not at its end.
    struct Streamed {
        TransactionHead head;
        bool begun = false;                 // the sink knows it
        std::shared_ptr<GrowingBytes> cut;  // the beginning of a change that goes on in the next part
        std::vector<Change> changes;        // decoded and not handed over: all of them in receive()
        size_t count = 0;                   // so many of them; behind these are some that lend their memory
        std::shared_ptr<std::vector<std::shared_ptr<const void>>> storage;  // owns their bytes
        uint64_t bytes = 0;                                                 // encoded, taken so far
    };

    void begin(const Waiting& waiting);
    void add(const Waiting& waiting);
    void decode_some(wire::Bytes bytes, const Waiting& waiting);
    void check_size(const Waiting& waiting) const;
    [[nodiscard]] std::optional<Transaction> receive_one(const Waiting& waiting);
    void whole_into(TransactionSink& sink, const Waiting& waiting);
    [[nodiscard]] std::span<Change> next_piece(wire::Reader& reader, const Waiting& waiting);
    [[nodiscard]] bool piece_into(TransactionSink& sink, const Waiting& waiting);
    void changes_into(TransactionSink& sink);
    // What a sink threw is the caller's matter, what `decode` throws ends the subscription.
    template <typename Decode>
    auto decoded(Decode decode);

    Inbox& inbox_;
    const uint64_t max_transaction_bytes_;
    std::unique_ptr<Streamed> streamed_;
    std::vector<Change> piece_;  // of a transaction that came whole, and what memory is left of earlier ones
};

}  // namespace paysync

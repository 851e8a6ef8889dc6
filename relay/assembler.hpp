// Chunks of the outbox to whole transactions. It remembers what a page ended in the middle of, so that the next page
// goes on there.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "transaction.hpp"
#include "wire/closing.hpp"
#include "wire/page.hpp"

namespace paysync::relay {

// A page of the outbox, or what else holds bytes that transactions are views into.
using Storage = std::shared_ptr<const std::string>;

// A transaction whose chunks are all here; its shapes are still ids, its changes as they were recorded.
struct RawTransaction {
    std::shared_ptr<Transaction> transaction = std::make_shared<Transaction>();
    std::vector<int64_t> shapes;
    wire::Digest digest;
    bool reorder = false;
    uint64_t manifest_parts = 0;  // of one that is streamed: its manifest is to be read for itself, from so many chunks
};

// Channels and shapes of a manifest whose parts were joined; false if it is none.
[[nodiscard]] bool take_manifest_parts(std::string joined, RawTransaction& raw);

// Nobody can trust the channels of a transaction that is not what was recorded, so nobody passes over it.
void make_corrupt(Transaction& transaction, std::string message, std::string detail);

// A manifest is never longer.
inline constexpr size_t kMaxManifestBytes = 16 << 20;
inline constexpr uint64_t kMaxManifestParts = kMaxManifestBytes / 4096;

class Assembler {
public:
    // Goes on after the transaction `number`.
    explicit Assembler(uint64_t number) : next_(number + 1) {}

    // What the next page is to be asked for.
    [[nodiscard]] uint64_t next_number() const { return next_; }
    [[nodiscard]] int32_t after_part() const { return collecting_ ? last_part_ : -1; }
    [[nodiscard]] uint64_t parts_left() const { return collecting_ ? parts_ - parts_seen_ : 0; }
    // Bytes held of a transaction that is not whole yet.
    [[nodiscard]] size_t held_bytes() const { return held_.size(); }
    // Length of the stream of changes of that transaction; 0 where there is none.
    [[nodiscard]] uint64_t expected_bytes() const { return collecting_ ? expected_bytes_ : 0; }

    // Takes a page's chunks, views into `page`, one by one and appends what got whole to `out`; of one that is streamed
    // what its first chunk says. What is other than was recorded comes out with a refusal. The rest of the chunks of
    // both is passed over. False: a chunk that does not belong here came, nothing more of this page may be given.
    [[nodiscard]] bool add(const wire::PageChunk& chunk, const Storage& page, std::deque<RawTransaction>& out);

    // A page came that has no chunk, though more parts were recorded: what is being collected will never be whole.
    void give_up(std::deque<RawTransaction>& out);
    [[nodiscard]] bool is_collecting() const { return collecting_; }

private:
    bool begin(const wire::PageChunk& chunk, const Storage& page, std::deque<RawTransaction>& out);
    [[nodiscard]] bool has_length(size_t bytes, std::deque<RawTransaction>& out);
    void finish(std::deque<RawTransaction>& out);
    void pass_on(std::deque<RawTransaction>& out);
    void refuse(std::string message, std::string detail, std::deque<RawTransaction>& out);
    void leave(std::deque<RawTransaction>& out);

    uint64_t next_;
    bool collecting_ = false;
    uint64_t passing_over_ = 0;  // number of a transaction whose further chunks are dropped
    int32_t last_part_ = 0;
    uint64_t parts_ = 0;
    uint64_t manifest_parts_ = 0;
    uint64_t parts_seen_ = 0;
    uint64_t expected_bytes_ = 0;
    RawTransaction raw_;
    std::string held_;      // data parts so far
    std::string manifest_;  // manifest parts so far
    std::string tail_;
};

}  // namespace paysync::relay

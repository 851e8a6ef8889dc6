// A page of the outbox as the relay reads it (docs/outbox.md §4): chunks one behind the other, each behind a head of
// fixed length, since a page holds thousands of them. All integers are big-endian.
//
//     u64 number | u64 xid | u32 part | u32 length | payload
//
// Number 0 is no transaction's: such an entry says, before any other and wherever it changes, the epoch (in the place
// of the xid) and nonce (as payload) of what follows.
#pragma once

#include "wire/big_endian.hpp"
#include "wire/reader.hpp"

namespace paysync::wire {

inline constexpr size_t kChunkHeadBytes = 24;

struct PageChunk {
    uint64_t number = 0;
    uint64_t epoch = 0;
    Bytes nonce;
    uint64_t xid = 0;
    int32_t part = 0;
    Bytes payload;
};

// Writes the head of an entry whose payload has `length` bytes into kChunkHeadBytes bytes.
inline void put_chunk_head(char* out, uint64_t number, uint64_t xid, int32_t part, uint32_t length) {
    put_big_endian(out, number);
    put_big_endian(out + 8, xid);
    put_big_endian(out + 16, static_cast<uint32_t>(part));
    put_big_endian(out + 20, length);
}

// Gives the chunks of a page, as views into it.
class PageReader {
public:
    explicit PageReader(Bytes page) : rest_(page) {}

    // False at the end, and where what stands there is no chunk: then at_end() is false too.
    [[nodiscard]] bool next(PageChunk& chunk) {
        while (rest_.size() >= kChunkHeadBytes) {
            const uint64_t number = get_big_endian<uint64_t>(rest_.data());
            const uint64_t xid_or_epoch = get_big_endian<uint64_t>(rest_.data() + 8);
            const uint32_t part = get_big_endian<uint32_t>(rest_.data() + 16);
            const size_t length = get_big_endian<uint32_t>(rest_.data() + 20);
            if (length > rest_.size() - kChunkHeadBytes || part > INT32_MAX || (number != 0 && nonce_.empty())) {
                return false;
            }
            const Bytes payload = rest_.substr(kChunkHeadBytes, length);
            rest_.remove_prefix(kChunkHeadBytes + length);
            if (number != 0) {
                chunk = PageChunk{number, epoch_, nonce_, xid_or_epoch, static_cast<int32_t>(part), payload};
                return true;
            }
            epoch_ = xid_or_epoch;
            nonce_ = payload;
        }
        return false;
    }
    [[nodiscard]] bool at_end() const { return rest_.empty(); }

private:
    Bytes rest_;
    uint64_t epoch_ = 0;
    Bytes nonce_;
};

}  // namespace paysync::wire

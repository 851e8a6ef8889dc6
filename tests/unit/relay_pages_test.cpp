// Pages of the outbox: what is packed comes out again, what is cut off or out of order does not, and the next page goes
// on behind what came.
#include <gtest/gtest.h>

#include "relay/packing.hpp"
#include "relay/stream_reader.hpp"
#include "wire/streamed.hpp"

namespace paysync::relay {
namespace {

std::string entry(uint64_t number, uint64_t xid, int32_t part, const std::string& payload) {
    char head[wire::kChunkHeadBytes];
    wire::put_chunk_head(head, number, xid, part, static_cast<uint32_t>(payload.size()));
    return std::string(head, sizeof head) + payload;
}

std::string epoch(uint64_t number, const std::string& nonce) { return entry(0, number, 0, nonce); }

// A closing record that says how many parts and bytes follow.
std::string closing(int parts, uint64_t bytes) {
    std::string out;
    StringSink sink{out};
    Packer packer(sink);
    packer.pack_array(12);
    packer.pack_int(1);
    packer.pack_int(0);
    packer.pack_nil();
    packer.pack_nil();
    packer.pack_int(0);
    packer.pack_int(parts);
    packer.pack_uint64(bytes);
    packer.pack_int(1);
    pack_bin(packer, std::string(16, '\0'));
    packer.pack_int(0);
    packer.pack_array(0);
    packer.pack_array(0);
    return out;
}

TEST(WirePage, GivesBackWhatWasPacked) {
    const std::string page = epoch(3, "9f2c41aa") + entry(7, 900, 0, "one") + entry(7, 900, 5, "") +
                             epoch(4, "00000001") + entry(8, UINT64_MAX, INT32_MAX, "two");
    wire::PageReader reader(page);
    wire::PageChunk chunk;
    ASSERT_TRUE(reader.next(chunk));
    EXPECT_EQ(chunk.number, 7U);
    EXPECT_EQ(chunk.epoch, 3U);
    EXPECT_EQ(chunk.nonce, "9f2c41aa");
    EXPECT_EQ(chunk.xid, 900U);
    EXPECT_EQ(chunk.part, 0);
    EXPECT_EQ(chunk.payload, "one");
    ASSERT_TRUE(reader.next(chunk));
    EXPECT_EQ(chunk.part, 5);
    EXPECT_EQ(chunk.payload, "");
    ASSERT_TRUE(reader.next(chunk));
    EXPECT_EQ(chunk.epoch, 4U);
    EXPECT_EQ(chunk.nonce, "00000001");
    EXPECT_EQ(chunk.xid, UINT64_MAX);
    EXPECT_EQ(chunk.part, INT32_MAX);
    EXPECT_FALSE(reader.next(chunk));
    EXPECT_TRUE(reader.at_end());
}

TEST(WirePage, WhatIsCutOffIsNoPage) {
    const std::string page = epoch(3, "9f2c41aa") + entry(7, 900, 0, "one");
    for (size_t length = 1; length < page.size(); ++length) {
        const std::string cut = page.substr(0, length);
        wire::PageReader reader(cut);
        wire::PageChunk chunk;
        EXPECT_FALSE(reader.next(chunk)) << length;
        EXPECT_EQ(reader.at_end(), length == wire::kChunkHeadBytes + 8) << length;
    }
}

TEST(WirePage, AChunkOfNoEpochIsNone) {
    wire::PageChunk chunk;
    const std::string page = entry(7, 900, 0, "one");
    EXPECT_FALSE(wire::PageReader(page).next(chunk));
    const std::string negative = epoch(3, "9f2c41aa") + entry(7, 900, -1, "one");
    EXPECT_FALSE(wire::PageReader(negative).next(chunk));
}

void expect_place(const std::string& page, const PagePlace& before, const PagePlace& after) {
    const PagePlace found = place_after(epoch(3, "9f2c41aa") + page, before);
    EXPECT_EQ(found.number, after.number);
    EXPECT_EQ(found.after_part, after.after_part);
    EXPECT_EQ(found.parts_left, after.parts_left);
}

TEST(RelayPlaces, TheNextPageGoesOnBehindTheLastChunk) {
    const std::string whole = entry(7, 900, 0, closing(0, 5));
    expect_place(whole, {7}, {8});
    // Numbers of parts may have holes; how many there are is what counts.
    const std::string begun = whole + entry(8, 901, 0, closing(3, 9000)) + entry(8, 901, 2, "x");
    expect_place(begun, {7}, {8, 2, 2});
    expect_place(entry(8, 901, 4, "x"), {8, 2, 2}, {8, 4, 1});
    expect_place(entry(8, 901, 4, "x") + entry(8, 901, 7, "x"), {8, 2, 2}, {9});
    expect_place(entry(8, 901, 4, "x") + entry(8, 901, 7, "x") + whole, {8, 2, 2}, {8});
}

TEST(RelayPlaces, TheRestOfAStreamedTransactionIsPassedOver) {
    expect_place(entry(8, 901, 0, closing(9000, wire::kStreamedBytes + 1)) + entry(8, 901, 1, "x"), {8}, {9});
    expect_place(entry(8, 901, 0, closing(500, wire::kStreamedBytes)) + entry(8, 901, 1, "x"), {8}, {8, 1, 499});
}

TEST(RelayPlaces, WhatCannotBeReadIsPassedOver) {
    expect_place(entry(8, 901, 0, "no closing record") + entry(8, 901, 1, "x"), {8}, {9});
}

TEST(RelayPlaces, AnEmptyPageLeavesThePlace) { expect_place("", {8, 2, 2}, {8, 2, 2}); }

}  // namespace
}  // namespace paysync::relay

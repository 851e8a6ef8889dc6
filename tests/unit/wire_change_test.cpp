// Changes, their order inside a transaction, their digest, and the outbox's closing record.
#include "wire/change.hpp"

#include <gtest/gtest.h>

#include <map>
#include <msgpack.hpp>
#include <random>
#include <vector>

#include "wire/closing.hpp"
#include "wire/digest.hpp"

namespace paysync::wire {
namespace {

using Packer = msgpack::packer<msgpack::sbuffer>;

std::string packed(const std::function<void(Packer&)>& pack) {
    msgpack::sbuffer buffer;
    Packer packer(buffer);
    pack(packer);
    return std::string(buffer.data(), buffer.size());
}

void pack_text(Packer& packer, std::string_view text) {
    packer.pack_str(static_cast<uint32_t>(text.size()));
    packer.pack_str_body(text.data(), static_cast<uint32_t>(text.size()));
}

std::vector<std::string> one_of_each() {
    return {
        packed([](Packer& p) { p.pack_array(4).pack(0).pack(7).pack(3).pack_array(2).pack(1).pack_nil(); }),
        packed([](Packer& p) { p.pack_array(5).pack(1).pack(7).pack(3).pack_array(2).pack(1).pack_nil().pack_nil(); }),
        packed([](Packer& p) {
            p.pack_array(5).pack(1).pack(7).pack(3).pack_array(2).pack(1).pack_nil().pack_map(1).pack(0).pack(9);
        }),
        packed([](Packer& p) { p.pack_array(4).pack(2).pack(7).pack(3).pack_map(1).pack(0).pack(9); }),
        packed([](Packer& p) { p.pack_array(3).pack(3).pack(7).pack(3); }),
        packed([](Packer& p) {
            p.pack_array(7).pack(4);
            pack_text(p, "orders");
            p.pack(3);
            pack_text(p, "paid");
            p.pack_nil();
            pack_text(p, "{}");
            pack_text(p, "[1]");
        }),
        packed([](Packer& p) {
            p.pack_array(4).pack(5).pack(7).pack(3);
            pack_text(p, "rewritten");
        }),
        packed([](Packer& p) { p.pack_array(5).pack(6).pack(8).pack(3).pack(7).pack_map(1).pack(2).pack_nil(); })};
}

TEST(WireChange, FindsTheFieldsOfEveryOperation) {
    // Rule: a change's fields are views of its bytes, and a stream of changes is read one behind the other.
    std::string stream;
    for (const std::string& change : one_of_each()) stream += change;
    Reader reader{Bytes(stream)};
    Change change;
    ASSERT_TRUE(read_change(reader, change));
    EXPECT_EQ(change.operation, Operation::kInsert);
    EXPECT_EQ(change.shape, 7);
    EXPECT_EQ(change.command, 3U);
    EXPECT_EQ(change.new_row, Bytes("\x92\x01\xc0", 3));
    EXPECT_TRUE(change.old_row.empty());
    ASSERT_TRUE(read_change(reader, change));
    EXPECT_EQ(change.old_row, Bytes("\xc0"));
    ASSERT_TRUE(read_change(reader, change));
    EXPECT_EQ(change.old_row, Bytes("\x81\x00\x09", 3));
    ASSERT_TRUE(read_change(reader, change));
    EXPECT_EQ(change.operation, Operation::kDelete);
    EXPECT_TRUE(change.new_row.empty());
    ASSERT_TRUE(read_change(reader, change));
    EXPECT_EQ(change.operation, Operation::kTruncate);
    ASSERT_TRUE(read_change(reader, change));
    EXPECT_EQ(change.operation, Operation::kEvent);
    EXPECT_EQ(change.shape, 0);
    EXPECT_EQ(change.channel, "orders");
    EXPECT_EQ(change.event_type, "paid");
    EXPECT_FALSE(change.event_has_key);
    EXPECT_EQ(change.headers, "{}");
    EXPECT_EQ(change.payload, "[1]");
    ASSERT_TRUE(read_change(reader, change));
    EXPECT_EQ(change.operation, Operation::kGap);
    EXPECT_EQ(change.shape, 7);
    EXPECT_EQ(change.command, 3U);
    EXPECT_EQ(change.reason, "rewritten");
    ASSERT_TRUE(read_change(reader, change));
    EXPECT_EQ(change.operation, Operation::kAlter);
    EXPECT_EQ(change.shape, 8);
    EXPECT_EQ(change.previous, 7);
    EXPECT_EQ(change.values, Bytes("\x81\x02\xc0", 3));
    EXPECT_TRUE(change.reason.empty());
    EXPECT_TRUE(change.new_row.empty());
    EXPECT_TRUE(reader.at_end());
}

TEST(WireChange, RefusesEveryTruncation) {
    // Rule: a change that is cut off anywhere is no change.
    for (const std::string& whole : one_of_each()) {
        for (size_t length = 0; length < whole.size(); ++length) {
            const std::vector<char> exact(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            Reader reader(Bytes(exact.data(), exact.size()));
            Change change;
            EXPECT_FALSE(read_change(reader, change)) << length;
        }
    }
}

TEST(WireChange, RefusesWhatIsOfNoOperation) {
    // Rule: operation, number of fields and the kinds of rows must agree; shape ids are positive.
    const std::vector<std::string> wrong = {
        packed([](Packer& p) { p.pack_array(4).pack(5).pack(7).pack(3).pack_array(0); }),
        packed([](Packer& p) { p.pack_array(4).pack(-1).pack(7).pack(3).pack_array(0); }),
        packed([](Packer& p) { p.pack_array(5).pack(0).pack(7).pack(3).pack_array(0).pack_nil(); }),
        packed([](Packer& p) { p.pack_array(4).pack(0).pack(0).pack(3).pack_array(0); }),
        packed([](Packer& p) { p.pack_array(4).pack(0).pack(-7).pack(3).pack_array(0); }),
        packed([](Packer& p) { p.pack_array(4).pack(0).pack(7).pack(-3).pack_array(0); }),
        packed([](Packer& p) { p.pack_array(4).pack(0).pack(7).pack(3).pack_map(0); }),
        packed([](Packer& p) { p.pack_array(4).pack(0).pack(7).pack(3).pack_nil(); }),
        packed([](Packer& p) { p.pack_array(4).pack(2).pack(7).pack(3).pack_nil(); }),
        packed([](Packer& p) { p.pack_array(4).pack(2).pack(7).pack(3).pack_array(0); }),
        packed([](Packer& p) { p.pack_array(5).pack(1).pack(7).pack(3).pack_array(0).pack(1); }),
        packed([](Packer& p) { p.pack_array(4).pack(5).pack(7).pack(3).pack_nil(); }),
        packed([](Packer& p) { p.pack_array(4).pack(5).pack(0).pack(3).pack_str(0); }),
        packed([](Packer& p) { p.pack_array(5).pack(5).pack(7).pack(3).pack_str(0).pack_nil(); }),
        packed([](Packer& p) { p.pack_array(4).pack(6).pack(8).pack(3).pack(7); }),
        packed([](Packer& p) { p.pack_array(5).pack(6).pack(8).pack(3).pack(0).pack_map(0); }),
        packed([](Packer& p) { p.pack_array(5).pack(6).pack(8).pack(3).pack(-7).pack_map(0); }),
        packed([](Packer& p) { p.pack_array(5).pack(6).pack(8).pack(3).pack_nil().pack_map(0); }),
        packed([](Packer& p) { p.pack_array(5).pack(6).pack(8).pack(3).pack(7).pack_nil(); }),
        packed([](Packer& p) { p.pack_array(5).pack(6).pack(8).pack(3).pack(7).pack_array(0); }),
        packed([](Packer& p) { p.pack_array(3).pack(7).pack(7).pack(3); }),
        packed([](Packer& p) { p.pack_map(0); }),
        std::string("\x90"),
        std::string("\xc0")};
    for (const std::string& bytes : wrong) {
        Reader reader{Bytes(bytes)};
        Change change;
        EXPECT_FALSE(read_change(reader, change));
    }
}

// The rule as it is written: behind the last change whose command is not greater.
std::vector<uint64_t> place_naively(const std::vector<uint64_t>& commands) {
    std::vector<uint64_t> order;
    for (uint64_t i = 0; i < commands.size(); ++i) {
        auto at = order.end();
        while (at != order.begin() && commands[*(at - 1)] > commands[i]) --at;
        order.insert(at, i);
    }
    return order;
}

std::vector<uint64_t> place(const std::vector<uint64_t>& commands) {
    std::vector<Placed> changes;
    for (uint64_t i = 0; i < commands.size(); ++i) changes.push_back(Placed{commands[i], i, i * 10, 10});
    order_changes(changes.data(), changes.size());
    std::vector<uint64_t> order;
    for (const Placed& change : changes) {
        EXPECT_EQ(change.offset, change.index * 10);
        order.push_back(change.index);
    }
    return order;
}

TEST(WireOrder, PlacesAChangeByItsCommand) {
    // Rule: 0,1,0 becomes 0,0,1; what is in order stays; changes of one command keep the order in which they were
    // recorded.
    EXPECT_EQ(place({0, 1, 0}), (std::vector<uint64_t>{0, 2, 1}));
    EXPECT_EQ(place({0, 2, 1}), (std::vector<uint64_t>{0, 2, 1}));
    EXPECT_EQ(place({}), (std::vector<uint64_t>{}));
    EXPECT_EQ(place({5, 2, 5, 9, 2, 9, 5}), (std::vector<uint64_t>{1, 4, 0, 2, 6, 3, 5}));
}

TEST(WireOrder, AgreesWithTheRuleAsItIsWritten) {
    // Rule: sorting equals placing change by change, for any input.
    std::mt19937_64 random(20261123);
    for (int round = 0; round < 3000; ++round) {
        const size_t count = random() % 40;
        const uint64_t distinct = 1 + random() % 12;
        std::vector<uint64_t> commands(count);
        for (uint64_t& command : commands) command = random() % distinct + (random() % 50 == 0 ? UINT64_MAX - 20 : 0);
        ASSERT_EQ(place(commands), place_naively(commands));
    }
}

TEST(WireDigest, CarriesAndWraps) {
    // Rule: the sum is modulo 2^128, with the carry from the lower half.
    Digest sum{1, UINT64_MAX};
    sum += Digest{2, 1};
    EXPECT_EQ(sum, (Digest{4, 0}));
    sum = Digest{UINT64_MAX, UINT64_MAX};
    sum += Digest{0, 1};
    EXPECT_EQ(sum, (Digest{0, 0}));
    sum = Digest{UINT64_MAX, UINT64_MAX};
    sum += Digest{UINT64_MAX, UINT64_MAX};
    EXPECT_EQ(sum, (Digest{UINT64_MAX, UINT64_MAX - 1}));
}

TEST(WireDigest, AgreesWithWideArithmetic) {
    // Rule: any number of digests sums up as 128-bit integers do, in any order.
    __extension__ using Wide = unsigned __int128;
    std::mt19937_64 random(7);
    for (int round = 0; round < 200; ++round) {
        std::vector<Digest> digests(random() % 50);
        Wide expected = 0;
        for (Digest& digest : digests) {
            digest = Digest{random(), random() | (random() % 2 == 0 ? uint64_t{0xffffffff} << 32 : 0)};
            expected += static_cast<Wide>(digest.high) << 64 | digest.low;
        }
        std::shuffle(digests.begin(), digests.end(), random);
        Digest sum;
        for (const Digest& digest : digests) sum += digest;
        EXPECT_EQ(sum, (Digest{static_cast<uint64_t>(expected >> 64), static_cast<uint64_t>(expected)}));
    }
}

TEST(WireDigest, IsTheOneOfXxh3AndMostSignificantFirst) {
    // Rule: XXH3 128 bits with seed 0, written big-endian; the digest of nothing is a published constant.
    char bytes[kDigestBytes];
    put_digest(bytes, digest_of(Bytes()));
    EXPECT_EQ(std::string(bytes, sizeof bytes),
              std::string("\x99\xaa\x06\xd3\x01\x47\x98\xd8\x60\x01\xc3\x24\x46\x8d\x49\x7f", 16));
    const std::string bin = "\xc4\x10" + std::string(bytes, sizeof bytes);
    Reader reader{Bytes(bin)};
    Digest read;
    ASSERT_TRUE(read_digest(reader, read));
    EXPECT_EQ(read, digest_of(Bytes()));
    for (const std::string& wrong :
         {bin.substr(0, 17), "\xc4\x0f" + std::string(15, 'x'), "\xb0" + std::string(16, 'x')}) {
        Reader bad{Bytes(wrong)};
        EXPECT_FALSE(read_digest(bad, read));
        EXPECT_EQ(bad.offset(), 0U);
    }
    EXPECT_NE(numbered_digest(1, read), numbered_digest(2, read));
    EXPECT_NE(numbered_digest(1, read), numbered_digest(1, Digest{}));
}

std::string closing(uint64_t format, uint64_t parts, uint64_t bytes, uint64_t manifest_parts, bool lists,
                    std::string_view tail) {
    return packed([&](Packer& p) {
               p.pack_array(12).pack(format).pack(int64_t{-5});
               pack_text(p, "eu");
               p.pack_nil().pack(kFlagReorder).pack(parts).pack(bytes).pack(3);
               p.pack_bin(16).pack_bin_body("0123456789abcdef", 16).pack(manifest_parts);
               if (lists) {
                   p.pack_array(1).pack_array(3);
                   pack_text(p, "default");
                   p.pack(3).pack_bin(16).pack_bin_body("0123456789abcdef", 16);
                   p.pack_array(2).pack(7).pack(8);
               } else {
                   p.pack_nil().pack_nil();
               }
           }) +
           std::string(tail);
}

TEST(WireClosing, FindsItsFieldsAndTheTail) {
    // Rule: the tail is all that stands behind the record, at most as long as the stream.
    const std::string bytes = closing(1, 2, 100, 0, true, "tail");
    Closing record;
    ASSERT_TRUE(read_closing(Bytes(bytes), record));
    EXPECT_EQ(record.time, -5);
    EXPECT_TRUE(record.has_origin);
    EXPECT_EQ(record.origin, "eu");
    EXPECT_FALSE(record.has_context);
    EXPECT_TRUE(record.reorder());
    EXPECT_EQ(record.parts, 2U);
    EXPECT_EQ(record.changes, 3U);
    EXPECT_EQ(record.tail, "tail");
    EXPECT_EQ(record.shapes, Bytes("\x92\x07\x08"));
    for (size_t length = 0; length < bytes.size() - 4; ++length) {
        const std::vector<char> exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
        EXPECT_FALSE(read_closing(Bytes(exact.data(), exact.size()), record)) << length;
    }
}

TEST(WireClosing, RefusesWhatContradictsItself) {
    // Rule: another format, a tail longer than the stream, a manifest in parts that do not exist or in two places.
    Closing record;
    EXPECT_FALSE(read_closing(Bytes(closing(2, 2, 100, 0, true, "tail")), record));
    EXPECT_FALSE(read_closing(Bytes(closing(1, 2, 3, 0, true, "tail")), record));
    EXPECT_FALSE(read_closing(Bytes(closing(1, 2, 100, 3, false, "tail")), record));
    EXPECT_FALSE(read_closing(Bytes(closing(1, 2, 100, 1, true, "tail")), record));
    EXPECT_FALSE(read_closing(Bytes(closing(1, 2, 100, 0, false, "tail")), record));
    EXPECT_TRUE(read_closing(Bytes(closing(1, 2, 100, 1, false, "tail")), record));
    EXPECT_TRUE(record.channels.empty());
    const std::string manifest = packed([](Packer& p) { p.pack_array(2).pack_array(0).pack_array(1).pack(5); });
    ASSERT_TRUE(read_manifest(Bytes(manifest), record));
    EXPECT_EQ(record.shapes, Bytes("\x91\x05"));
    EXPECT_FALSE(read_manifest(Bytes(manifest + "x"), record));
    EXPECT_FALSE(read_manifest(Bytes(manifest).substr(0, 3), record));
}

}  // namespace
}  // namespace paysync::wire

// Rule: however a stream of changes is cut into pieces, the scanner finds the changes that read_change() finds, and
// refuses what that refuses.
#include "wire/change_scanner.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <msgpack.hpp>
#include <random>
#include <string>
#include <vector>

namespace paysync::wire {
namespace {

using Packer = msgpack::packer<msgpack::sbuffer>;
using Found = ChangeScanner::Found;

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

struct Head {
    Operation operation;
    int64_t shape;
    int64_t previous;
    uint64_t command;
    std::string channel;
    uint64_t end;  // offset in the stream
    Digest digest;

    bool operator==(const Head& other) const {
        return operation == other.operation && shape == other.shape && previous == other.previous &&
               command == other.command && channel == other.channel && end == other.end && digest == other.digest;
    }
};

// What read_change() finds; nothing where it refuses or the stream ends inside a change.
std::optional<std::vector<Head>> read_whole(const std::string& stream) {
    std::vector<Head> found;
    Reader reader{Bytes(stream)};
    Change change;
    while (!reader.at_end()) {
        if (!read_change(reader, change)) return std::nullopt;
        found.push_back({change.operation, change.shape, change.previous, change.command, std::string(change.channel),
                         reader.offset(), digest_of(change.bytes)});
    }
    return found;
}

// The same by the scanner, each piece in memory of its own. `cut(left)` says how long the next piece is.
std::optional<std::vector<Head>> scan_pieces(const std::string& stream, const std::function<size_t(size_t)>& cut) {
    std::vector<Head> found;
    ChangeScanner scanner(stream.size());
    size_t at = 0;
    bool has_head = false;
    while (at < stream.size()) {
        const auto owned = std::make_unique<std::string>(stream.substr(at, cut(stream.size() - at)));
        Bytes piece(*owned);
        at += owned->size();
        for (Found what = scanner.scan(piece); what != Found::kNothing; what = scanner.scan(piece)) {
            if (what == Found::kBad) return std::nullopt;
            if (what == Found::kHead) {
                EXPECT_FALSE(has_head);
                has_head = true;
                continue;
            }
            EXPECT_TRUE(has_head);
            has_head = false;
            found.push_back({scanner.operation(), scanner.shape(), scanner.previous(), scanner.command(),
                             std::string(scanner.channel()), at - piece.size(), scanner.digest()});
        }
        EXPECT_TRUE(piece.empty());
    }
    if (!scanner.at_boundary()) return std::nullopt;
    return found;
}

void expect_same(const std::string& stream) {
    const auto expected = read_whole(stream);
    EXPECT_EQ(scan_pieces(stream, [](size_t left) { return left; }), expected);
    EXPECT_EQ(scan_pieces(stream, [](size_t) { return size_t{1}; }), expected);
    for (const size_t size : {2, 3, 7, 64}) {
        EXPECT_EQ(scan_pieces(stream, [size](size_t left) { return std::min(size, left); }), expected);
    }
}

std::string insert(const std::function<void(Packer&)>& row, int shape = 7) {
    return packed([&](Packer& packer) {
        packer.pack_array(4).pack(0).pack(shape).pack(3);
        row(packer);
    });
}

std::string event(const std::string& channel) {
    return packed([&](Packer& packer) {
        packer.pack_array(7).pack(4);
        pack_text(packer, channel);
        packer.pack(UINT64_MAX);
        pack_text(packer, "paid");
        pack_text(packer, "key");
        pack_text(packer, "{}");
        pack_text(packer, std::string(300, 'x'));
    });
}

std::string row_of_everything() {
    return insert([](Packer& p) {
        p.pack_array(9).pack(-1).pack(INT64_MIN).pack(UINT64_MAX).pack(1.5).pack(1.5F).pack(true).pack_nil();
        p.pack_array(2).pack_array(0).pack_array(1).pack_map(0);
        p.pack_ext(4, 1).pack_ext_body("abcd", 4);
    });
}

std::vector<std::string> all_operations() {
    return {row_of_everything(),
            packed([](Packer& p) {
                p.pack_array(5).pack(1).pack(INT64_MAX).pack(3).pack_array(0).pack_map(1).pack(0).pack(9);
            }),
            packed([](Packer& p) { p.pack_array(5).pack(1).pack(7).pack(3).pack_array(1).pack_nil().pack_nil(); }),
            packed([](Packer& p) { p.pack_array(4).pack(2).pack(7).pack(70000).pack_map(1).pack(0).pack(9); }),
            packed([](Packer& p) { p.pack_array(3).pack(3).pack(7).pack(3); }),
            event("orders"),
            event(""),
            event(std::string(255, 'c')),
            packed([](Packer& p) {
                p.pack_array(4).pack(5).pack(7).pack(3);
                pack_text(p, "rewritten");
            }),
            packed([](Packer& p) { p.pack_array(5).pack(6).pack(8).pack(3).pack(7).pack_map(1).pack(2).pack_nil(); })};
}

TEST(WireScanner, FindsEveryOperationHoweverItIsCut) {
    std::string stream;
    for (const std::string& change : all_operations()) {
        expect_same(change);
        stream += change;
    }
    expect_same(stream);
    ASSERT_TRUE(read_whole(stream).has_value());
    EXPECT_EQ(read_whole(stream)->size(), all_operations().size());
}

TEST(WireScanner, ChangedBytesAndLengthsAreRefusedWhereTheReaderRefusesThem) {
    // Rule: no byte of a change can be turned into one that the scanner takes and read_change() does not, or the other
    // way round.
    for (const std::string& change : all_operations()) {
        if (change.size() > 200) continue;
        for (size_t at = 0; at < change.size(); ++at) {
            for (int value = 0; value < 256; ++value) {
                std::string bad = change;
                bad[at] = static_cast<char>(value);
                const auto expected = read_whole(bad);
                ASSERT_EQ(scan_pieces(bad, [](size_t left) { return std::min<size_t>(left, 5); }), expected)
                    << at << " " << value;
            }
            expect_same(change.substr(0, at));
        }
    }
}

TEST(WireScanner, ARandomStreamIsTheSameInRandomPieces) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto changes = all_operations();
    for (int round = 0; round < 200; ++round) {
        std::string stream;
        for (int i = 0; i < 20; ++i) stream += changes[random() % changes.size()];
        if (round % 2 == 0) stream[random() % stream.size()] = static_cast<char>(random());
        ASSERT_EQ(scan_pieces(stream, [&](size_t left) { return 1 + random() % std::min<size_t>(left, 400); }),
                  read_whole(stream));
    }
}

TEST(WireScanner, NestingIsBoundedAsForTheReader) {
    for (size_t depth = kDeepest - 2; depth <= kDeepest + 2; ++depth) {
        const std::string change = insert([depth](Packer& p) {
            for (size_t i = 0; i < depth; ++i) p.pack_array(1);
            p.pack_nil();
        });
        EXPECT_EQ(read_whole(change).has_value(), depth <= kDeepest) << depth;
        expect_same(change);
    }
}

TEST(WireScanner, ALengthThatLiesIsRefusedAtOnce) {
    // Rule: what claims to be longer than the stream is refused when the claim is read, not after waiting for it.
    const std::string head = insert([](Packer& p) { p.pack_array(1); });
    for (const Bytes claim :
         {Bytes("\xc6\xff\xff\xff\xff", 5), Bytes("\xdb\xff\xff\xff\xff", 5), Bytes("\xdd\xff\xff\xff\xff", 5),
          Bytes("\xdf\xff\xff\xff\xff", 5), Bytes("\xc9\xff\xff\xff\xff", 5), Bytes("\xc6\x00\x10\x00\x00", 5)}) {
        std::string bytes = head;
        bytes.append(claim);
        ChangeScanner scanner(1 << 20);
        Bytes piece(bytes);
        EXPECT_EQ(scanner.scan(piece), Found::kHead);
        EXPECT_EQ(scanner.scan(piece), Found::kBad);
    }
    // Longer than the stream byte by byte.
    const std::string change = row_of_everything();
    ChangeScanner scanner(change.size() - 1);
    Found last = Found::kNothing;
    for (size_t at = 0; at < change.size() && last != Found::kBad; ++at) {
        Bytes piece(change.data() + at, 1);
        last = scanner.scan(piece);
        if (last == Found::kHead) last = scanner.scan(piece);
    }
    EXPECT_EQ(last, Found::kBad);
}

TEST(WireScanner, AChannelLongerThanAnyIsRefused) {
    const std::string change = event(std::string(256, 'c'));
    ChangeScanner scanner(change.size());
    Bytes piece(change);
    EXPECT_EQ(scanner.scan(piece), Found::kBad);
}

TEST(WireScanner, AChangeMayBeLargerThanAnyMemory) {
    // Rule: a row of 1 GiB is scanned in pieces of 1 MiB,
    // and its digest is that of all its bytes.
    const uint64_t pieces = 512;
    const std::string piece(1 << 20, 'v');
    const auto head = insert([](Packer& p) { p.pack_array(2); });
    const std::string value("\xc6\x20\x00\x00\x00", 5);
    const auto scanner = std::make_unique<ChangeScanner>(UINT64_MAX);
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    Found last = Found::kNothing;
    const auto give = [&](const std::string& bytes) {
        XXH3_128bits_update(&state, bytes.data(), bytes.size());
        Bytes left(bytes);
        Found found = scanner->scan(left);
        while (found != Found::kNothing && found != Found::kBad && !left.empty()) found = scanner->scan(left);
        last = found;
    };
    give(head);
    for (int i = 0; i < 2; ++i) {
        give(value);
        for (uint64_t j = 0; j < pieces; ++j) give(piece);
    }
    ASSERT_EQ(last, Found::kEnd);
    const XXH128_hash_t sum = XXH3_128bits_digest(&state);
    EXPECT_EQ(scanner->digest(), (Digest{sum.high64, sum.low64}));
    EXPECT_TRUE(scanner->at_boundary());
}

}  // namespace
}  // namespace paysync::wire

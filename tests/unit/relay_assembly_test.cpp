// Rows of the outbox become whole transactions, in order and checked; what is not as recorded is never sent.
#include <gtest/gtest.h>

#include "relay/batch.hpp"
#include "relay/inspection.hpp"
#include "relay/packing.hpp"

namespace paysync::relay {
namespace {

std::string packed(const std::function<void(Packer&)>& write) {
    std::string out;
    StringSink sink{out};
    Packer packer(sink);
    write(packer);
    return out;
}

std::string event(const std::string& channel, int command, const std::string& payload) {
    return packed([&](Packer& packer) {
        packer.pack_array(7);
        packer.pack_int(4);
        pack_str(packer, channel);
        packer.pack_int(command);
        pack_str(packer, "paid");
        packer.pack_nil();
        pack_str(packer, "{}");
        pack_str(packer, payload);
    });
}

// What a closing record says, and the stream it is about.
struct Source {
    std::vector<std::pair<std::string, std::string>> changes;  // channel, bytes
    int flags = 0;
    int parts = 0;
    int manifest_parts = 0;
    int64_t bytes_off = 0;  // lies about the length
    uint64_t claimed_bytes = 0;

    [[nodiscard]] std::string stream() const {
        std::string out;
        for (const auto& [channel, bytes] : changes) out += bytes;
        return out;
    }
    void write_channels(Packer& packer) const {
        std::map<std::string, std::pair<uint64_t, wire::Digest>> totals;
        for (const auto& [channel, bytes] : changes) {
            totals[channel].first += 1;
            totals[channel].second += wire::digest_of(bytes);
        }
        packer.pack_array(static_cast<uint32_t>(totals.size()));
        for (const auto& [name, total] : totals) {
            char digest[16];
            wire::put_digest(digest, total.second);
            packer.pack_array(3);
            pack_str(packer, name);
            packer.pack_uint64(total.first);
            pack_bin(packer, wire::Bytes(digest, 16));
        }
    }
    [[nodiscard]] std::string manifest() const {
        return packed([this](Packer& packer) {
            packer.pack_array(2);
            write_channels(packer);
            packer.pack_array(0);
        });
    }
    [[nodiscard]] std::string closing() const {
        return packed([this](Packer& packer) {
            wire::Digest sum;
            for (const auto& [channel, bytes] : changes) sum += wire::digest_of(bytes);
            char digest[16];
            wire::put_digest(digest, sum);
            packer.pack_array(12);
            packer.pack_int(1);
            packer.pack_int64(-5);
            packer.pack_nil();
            pack_str(packer, "trace");
            packer.pack_int(flags);
            packer.pack_int(parts);
            packer.pack_int64(claimed_bytes != 0 ? static_cast<int64_t>(claimed_bytes)
                                                 : static_cast<int64_t>(stream().size()) + bytes_off);
            packer.pack_uint64(changes.size());
            pack_bin(packer, wire::Bytes(digest, 16));
            packer.pack_int(manifest_parts);
            if (manifest_parts > 0) {
                packer.pack_nil();
                packer.pack_nil();
            } else {
                write_channels(packer);
                packer.pack_array(0);
            }
        });
    }
};

// Hands over one chunk, as the only one of its page.
bool add(Assembler& assembler, uint64_t number, int32_t part, const std::string& payload,
         std::deque<RawTransaction>& out) {
    const auto page = std::make_shared<const std::string>(payload);
    return assembler.add({number, 3, "9f2c41aa", 700 + number, part, *page}, page, out);
}

Source two_channels() {
    return {{{"default", event("default", 0, "1")},
             {"other", event("other", 1, "2")},
             {"default", event("default", 2, "3")}}};
}

TransactionPtr whole(const Source& source, uint64_t number, bool verify = true) {
    Assembler assembler(number - 1);
    std::deque<RawTransaction> out;
    const std::string payload = source.closing() + source.stream();
    EXPECT_TRUE(add(assembler, number, 0, payload, out));
    EXPECT_EQ(out.size(), 1U);
    return inspect(std::move(out.front()), ShapeCache(), verify);
}

TEST(RelayAssembly, ATransactionInOneRowIsWholeAtOnce) {
    const TransactionPtr transaction = whole(two_channels(), 5);
    ASSERT_FALSE(transaction->refusal) << transaction->refusal->detail;
    EXPECT_EQ(transaction->number, 5U);
    EXPECT_EQ(transaction->changes, 3U);
    EXPECT_EQ(transaction->time, -5);
    EXPECT_FALSE(transaction->origin);
    EXPECT_EQ(transaction->context, "trace");
    EXPECT_EQ(transaction->data, two_channels().stream());
}

TEST(RelayAssembly, PartsAreJoinedAcrossPagesAndHolesInTheirNumbers) {
    Source source = two_channels();
    source.parts = 3;
    source.manifest_parts = 1;
    const std::string stream = source.stream();
    const std::string closing = source.closing() + stream.substr(50);
    const std::string first = stream.substr(0, 20);
    const std::string second = stream.substr(20, 30);
    const std::string manifest = source.manifest();
    Assembler assembler(4);
    std::deque<RawTransaction> out;
    EXPECT_TRUE(add(assembler, 5, 0, closing, out));
    EXPECT_EQ(assembler.after_part(), 0);
    EXPECT_TRUE(add(assembler, 5, 2, first, out));
    EXPECT_EQ(assembler.next_number(), 5U);
    EXPECT_EQ(assembler.after_part(), 2);
    EXPECT_EQ(assembler.expected_bytes(), stream.size());
    EXPECT_TRUE(add(assembler, 5, 7, second, out));
    EXPECT_TRUE(out.empty());
    EXPECT_TRUE(add(assembler, 5, 8, manifest, out));
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(assembler.next_number(), 6U);
    EXPECT_EQ(assembler.after_part(), -1);
    const TransactionPtr transaction = inspect(std::move(out.front()), ShapeCache(), true);
    ASSERT_FALSE(transaction->refusal) << transaction->refusal->detail;
    EXPECT_EQ(transaction->data, stream);
    EXPECT_EQ(transaction->channels.size(), 2U);
}

TEST(RelayAssembly, AMissingPartIsCorrupt) {
    Source source = two_channels();
    source.parts = 2;
    const std::string closing = source.closing();
    Assembler assembler(4);
    std::deque<RawTransaction> out;
    EXPECT_TRUE(add(assembler, 5, 0, closing, out));
    EXPECT_FALSE(add(assembler, 6, 0, closing, out));
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out.front().transaction->refusal->code, wire::Error::kCorrupt);
    EXPECT_EQ(out.front().transaction->refusal->number, 5U);
    EXPECT_EQ(assembler.next_number(), 6U);
}

TEST(RelayAssembly, ASkippedNumberIsNotTaken) {
    const std::string payload = two_channels().closing() + two_channels().stream();
    Assembler assembler(4);
    std::deque<RawTransaction> out;
    EXPECT_FALSE(add(assembler, 6, 0, payload, out));
    EXPECT_FALSE(add(assembler, 5, 1, payload, out));
    EXPECT_TRUE(out.empty());
    EXPECT_EQ(assembler.next_number(), 5U);
}

TEST(RelayAssembly, ALengthThatDiffersIsCorrupt) {
    for (const int64_t off : {-1, 1}) {
        Source source = two_channels();
        source.parts = 1;
        source.bytes_off = off;
        const std::string closing = source.closing();
        const std::string stream = source.stream();
        Assembler assembler(4);
        std::deque<RawTransaction> out;
        EXPECT_TRUE(add(assembler, 5, 0, closing, out));
        EXPECT_TRUE(add(assembler, 5, 1, stream, out));
        ASSERT_EQ(out.size(), 1U);
        EXPECT_EQ(out.front().transaction->refusal->code, wire::Error::kCorrupt);
    }
}

TEST(RelayAssembly, AStreamedTransactionIsKnownFromItsFirstRowAndItsPartsArePassedOver) {
    Source source = two_channels();
    source.parts = 9000;
    for (const uint64_t bytes : {wire::kStreamedBytes, wire::kStreamedBytes + 1}) {
        source.claimed_bytes = bytes;
        const std::string closing = source.closing();
        Assembler assembler(4);
        std::deque<RawTransaction> out;
        EXPECT_TRUE(add(assembler, 5, 0, closing, out));
        ASSERT_EQ(out.empty(), bytes == wire::kStreamedBytes);
        if (out.empty()) continue;
        const TransactionPtr transaction = inspect(std::move(out.front()), ShapeCache(), true);
        ASSERT_FALSE(transaction->refusal);
        ASSERT_TRUE(transaction->streamed);
        EXPECT_EQ(transaction->streamed->bytes, bytes);
        EXPECT_EQ(transaction->streamed->data_parts, 9000U);
        EXPECT_EQ(transaction->channels.size(), 2U);
        EXPECT_EQ(assembler.next_number(), 6U);
        EXPECT_EQ(assembler.after_part(), -1);
        EXPECT_TRUE(add(assembler, 5, 1, "dropped", out));
        EXPECT_EQ(out.size(), 1U);
    }
}

TEST(RelayAssembly, AManifestInPartsOfAStreamedTransactionIsReadForItself) {
    Source source = two_channels();
    source.parts = 9000;
    source.manifest_parts = 2;
    source.claimed_bytes = wire::kStreamedBytes + 1;
    Assembler assembler(4);
    std::deque<RawTransaction> out;
    const std::string closing = source.closing();
    EXPECT_TRUE(add(assembler, 5, 0, closing, out));
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out.front().manifest_parts, 2U);
    EXPECT_EQ(out.front().transaction->streamed->data_parts, 8998U);
    EXPECT_TRUE(take_manifest_parts(source.manifest(), out.front()));
    EXPECT_EQ(out.front().transaction->channels.size(), 2U);
    EXPECT_FALSE(take_manifest_parts("\x92\x90", out.front()));
}

TEST(RelayInspection, EveryBitOfTheStreamIsUnderTheDigest) {
    const Source source = two_channels();
    const std::string stream = source.stream();
    for (size_t at = 0; at < stream.size(); ++at) {
        std::string payload = source.closing() + stream;
        payload[source.closing().size() + at] ^= 1;
        Assembler assembler(4);
        std::deque<RawTransaction> out;
        ASSERT_TRUE(add(assembler, 5, 0, payload, out));
        const TransactionPtr transaction = inspect(std::move(out.front()), ShapeCache(), true);
        ASSERT_TRUE(transaction->refusal) << at;
        EXPECT_EQ(transaction->refusal->code, wire::Error::kCorrupt);
        EXPECT_TRUE(transaction->data.empty());
    }
}

TEST(RelayInspection, TheReorderFlagPutsChangesBehindThoseOfTheirCommand) {
    Source source{{{"default", event("default", 0, "a")},
                   {"default", event("default", 1, "b")},
                   {"default", event("default", 0, "c")}}};
    source.flags = wire::kFlagReorder;
    for (const bool verify : {true, false}) {
        const TransactionPtr transaction = whole(source, 1, verify);
        ASSERT_FALSE(transaction->refusal);
        EXPECT_EQ(transaction->data, source.changes[0].second + source.changes[2].second + source.changes[1].second);
    }
}

TEST(RelayInspection, AShapeNobodyKnowsIsCorrupt) {
    RawTransaction raw;
    raw.transaction->number = 1;
    raw.shapes = {17};
    EXPECT_EQ(inspect(std::move(raw), ShapeCache(), false)->refusal->code, wire::Error::kCorrupt);
}

// Reads a batch back: numbers of its transactions, and the changes of each.
struct ReadBatch {
    uint64_t prev = 0;
    uint64_t last = 0;
    uint64_t epoch = 0;
    std::vector<std::pair<uint64_t, std::string>> transactions;
};

ReadBatch read_batch(const Batch& batch) {
    ReadBatch out;
    wire::Reader reader(wire::Bytes(static_cast<const char*>(batch.body.data()), batch.body.size()));
    uint32_t fields = 0;
    wire::Bytes nonce;
    uint32_t count = 0;
    EXPECT_TRUE(reader.read_array(fields) && fields == 5 && reader.read_uint(out.prev) && reader.read_uint(out.last) &&
                reader.read_uint(out.epoch) && reader.read_str(nonce) && reader.read_array(count));
    for (uint32_t i = 0; i < count; ++i) {
        uint64_t number = 0;
        wire::Bytes data;
        EXPECT_TRUE(reader.read_array(fields) && fields == 8 && reader.read_uint(number));
        for (int skipped = 0; skipped < 6; ++skipped) EXPECT_TRUE(reader.skip());
        EXPECT_TRUE(reader.read_bin(data));
        out.transactions.emplace_back(number, data);
    }
    EXPECT_TRUE(reader.at_end());
    return out;
}

TEST(RelayBatch, ASubscriberGetsItsOwnChannelsAndNothingElse) {
    Window window(0);
    window.push(whole(two_channels(), 1));
    const Source source = two_channels();
    const auto data_for = [&window](std::vector<std::string> channels) {
        return read_batch(*pack_batch(window, 0, 1, make_selection(std::move(channels)), 65536)).transactions;
    };
    EXPECT_EQ(data_for({"default", "other"}).at(0).second, source.stream());
    EXPECT_EQ(data_for({"default"}).at(0).second, source.changes[0].second + source.changes[2].second);
    EXPECT_EQ(data_for({"other"}).at(0).second, source.changes[1].second);
    EXPECT_TRUE(data_for({"third"}).empty());
}

TEST(RelayBatch, PositionsAdvanceWhereNothingMatches) {
    Window window(0);
    for (uint64_t number = 1; number <= 3; ++number) window.push(whole(two_channels(), number));
    const ReadBatch batch = read_batch(*pack_batch(window, 0, 3, make_selection({"third"}), 65536));
    EXPECT_EQ(batch.prev, 0U);
    EXPECT_EQ(batch.last, 3U);
}

TEST(RelayBatch, StopsAtItsTargetButOneTransactionAlwaysFits) {
    Window window(0);
    for (uint64_t number = 1; number <= 3; ++number) window.push(whole(two_channels(), number));
    const ReadBatch batch = read_batch(*pack_batch(window, 0, 3, make_selection({"default", "other"}), 1));
    EXPECT_EQ(batch.last, 1U);
    ASSERT_EQ(batch.transactions.size(), 1U);
    EXPECT_EQ(batch.transactions[0].second, two_channels().stream());
    EXPECT_EQ(pack_batch(window, 1, 3, make_selection({"default", "other"}), 65536)->last, 3U);
}

TEST(RelayBatch, NeverMixesEpochs) {
    Window window(0);
    window.push(whole(two_channels(), 1));
    auto later = std::make_shared<Transaction>(*whole(two_channels(), 2));
    later->epoch = 4;
    window.push(later);
    EXPECT_EQ(read_batch(*pack_batch(window, 0, 2, make_selection({"default"}), 65536)).last, 1U);
    EXPECT_EQ(read_batch(*pack_batch(window, 1, 2, make_selection({"default"}), 65536)).epoch, 4U);
}

TEST(RelayBatch, ARefusedTransactionStopsThoseItIsForAndNobodyElse) {
    Window window(0);
    window.push(whole(two_channels(), 1));
    auto refused = std::make_shared<Transaction>(*whole(two_channels(), 2));
    refused->refusal = Refusal{wire::Error::kCorrupt, 2, "", "", ""};
    window.push(refused);
    window.push(whole(two_channels(), 3));
    EXPECT_EQ(pack_batch(window, 0, 3, make_selection({"default"}), 65536)->last, 1U);
    ASSERT_TRUE(pack_batch(window, 1, 3, make_selection({"default"}), 65536)->refusal);
    EXPECT_EQ(pack_batch(window, 0, 3, make_selection({"third"}), 65536)->last, 3U);
    // Without a list of channels it could be anybody's.
    refused->channels.clear();
    EXPECT_TRUE(pack_batch(window, 1, 3, make_selection({"third"}), 65536)->refusal);
    // Whoever skips it passes over it whatever it is.
    EXPECT_EQ(pack_batch(window, 1, 3, make_selection({"third"}, {2}), 65536)->last, 3U);
}

TEST(RelayBatch, ASkippedNumberIsCoveredAndNeverSent) {
    Window window(0);
    for (uint64_t number = 1; number <= 3; ++number) window.push(whole(two_channels(), number));
    const ReadBatch batch = read_batch(*pack_batch(window, 0, 3, make_selection({"default"}, {3, 2}), 65536));
    EXPECT_EQ(batch.last, 3U);
    ASSERT_EQ(batch.transactions.size(), 1U);
    EXPECT_EQ(batch.transactions[0].first, 1U);
}

TEST(RelayBatch, AStreamedTransactionStopsThoseItIsForAndNobodyElse) {
    Window window(0);
    window.push(whole(two_channels(), 1));
    auto streamed = std::make_shared<Transaction>(*whole(two_channels(), 2));
    streamed->streamed = Recorded{wire::kStreamedBytes + 1, 9000, {}, false};
    window.push(streamed);
    window.push(whole(two_channels(), 3));
    EXPECT_EQ(pack_batch(window, 0, 3, make_selection({"default"}), 65536)->last, 1U);
    EXPECT_EQ(pack_batch(window, 1, 3, make_selection({"default"}), 65536)->streamed, streamed);
    EXPECT_EQ(pack_batch(window, 0, 3, make_selection({"third"}), 65536)->last, 3U);
    EXPECT_EQ(pack_batch(window, 1, 3, make_selection({"default"}, {2}), 65536)->last, 3U);
}

}  // namespace
}  // namespace paysync::relay

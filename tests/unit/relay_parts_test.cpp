// A streamed transaction comes out as parts that hold its changes of the subscriber's channels, whole and in order, and
// is at its end only if it is what was recorded.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "relay/batch.hpp"
#include "relay/packing.hpp"
#include "relay/part_cutter.hpp"

namespace paysync::relay {
namespace {

std::string packed(const std::function<void(Packer&)>& write) {
    std::string out;
    StringSink sink{out};
    Packer packer(sink);
    write(packer);
    return out;
}

std::string event(const std::string& channel, size_t bytes) {
    return packed([&](Packer& packer) {
        packer.pack_array(7);
        packer.pack_int(4);
        pack_str(packer, channel);
        packer.pack_int(3);
        pack_str(packer, "paid");
        packer.pack_nil();
        pack_str(packer, "{}");
        pack_str(packer, std::string(bytes, 'p'));
    });
}

std::string alter(int shape, int previous) {
    return packed([&](Packer& packer) {
        packer.pack_array(5);
        for (const int number : {6, shape, 3, previous}) packer.pack_int(number);
        packer.pack_map(0);
    });
}

struct Source {
    std::vector<std::pair<std::string, std::string>> changes;  // channel, bytes
    std::vector<ShapePtr> shapes = {};

    [[nodiscard]] std::string stream() const {
        std::string out;
        for (const auto& [channel, bytes] : changes) out += bytes;
        return out;
    }
    [[nodiscard]] std::string of(const std::string& channel) const {
        std::string out;
        for (const auto& [name, bytes] : changes) out += name == channel ? bytes : "";
        return out;
    }
    [[nodiscard]] std::shared_ptr<Transaction> recorded() const {
        auto transaction = std::make_shared<Transaction>();
        transaction->number = 5;
        transaction->shapes = shapes;
        std::map<std::string, ChannelShare> shares;
        Recorded recorded;
        for (const auto& [channel, bytes] : changes) {
            const wire::Digest digest = wire::digest_of(bytes);
            shares[channel].name = channel;
            shares[channel].count += 1;
            shares[channel].digest += digest;
            recorded.digest += digest;
            recorded.bytes += bytes.size();
            transaction->changes += 1;
        }
        for (const auto& [name, share] : shares) transaction->channels.push_back(share);
        transaction->streamed = recorded;
        return transaction;
    }
};

// What a subscriber gets, and that every part keeps the rules of docs/wire.md §8.
struct Received {
    std::string data;
    uint64_t parts = 0;
    bool unfinished = false;
    std::shared_ptr<wire::ChangeScanner> scanner = std::make_shared<wire::ChangeScanner>(UINT64_MAX);
};

void take_parts(PartCutter& cutter, Received& received) {
    while (cutter.has_part()) {
        const wire::Part part = cutter.part();
        ASSERT_EQ(part.index, received.parts);
        ASSERT_FALSE(part.data.empty());
        ASSERT_LE(part.data.size(), wire::kMaxPartBytes);
        ASSERT_TRUE(!part.unfinished || part.data.size() == wire::kMaxPartBytes);
        received.data += part.data;
        received.parts += 1;
        received.unfinished = part.unfinished;
        // The end of a part is a change's end, unless it says otherwise.
        wire::Bytes rest = part.data;
        auto found = wire::ChangeScanner::Found::kHead;
        while (found == wire::ChangeScanner::Found::kHead || found == wire::ChangeScanner::Found::kEnd) {
            found = received.scanner->scan(rest);
        }
        ASSERT_EQ(found, wire::ChangeScanner::Found::kNothing);
        ASSERT_EQ(received.scanner->at_boundary(), !part.unfinished);
        cutter.drop_part();
    }
}

Received receive(const Source& source, std::vector<std::string> channels, const std::function<size_t()>& piece) {
    Received received;
    PartCutter cutter(source.recorded(), make_selection(std::move(channels)));
    const std::string stream = source.stream();
    for (size_t at = 0; at < stream.size();) {
        const std::string bytes = stream.substr(at, piece());
        at += bytes.size();
        EXPECT_TRUE(cutter.add(bytes)) << cutter.fault();
        take_parts(cutter, received);
        EXPECT_LE(cutter.held(), wire::kMaxPartBytes + bytes.size());
    }
    EXPECT_TRUE(cutter.finish()) << cutter.fault();
    take_parts(cutter, received);
    EXPECT_TRUE(cutter.is_done());
    EXPECT_FALSE(received.unfinished);
    return received;
}

TEST(RelayParts, HoldEveryChangeOfTheChannelsInOrder) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    for (int round = 0; round < 12; ++round) {
        Source source;
        for (int i = 0; i < 300; ++i) {
            const size_t bytes = random() % 30 == 0 ? random() % 700000 : random() % 9000;
            const std::string channel = random() % 3 == 0 ? "other" : "default";
            source.changes.emplace_back(channel, event(channel, bytes));
        }
        const auto piece = [&random] { return 1 + random() % 8112; };
        EXPECT_EQ(receive(source, {"default"}, piece).data, source.of("default"));
        EXPECT_EQ(receive(source, {"default", "other"}, piece).data, source.stream());
        EXPECT_EQ(receive(source, {"other"}, [] { return size_t{1} << 20; }).data, source.of("other"));
    }
}

TEST(RelayParts, AChangeThatFitsIsNotCutAndOneThatDoesNotIsSaidToGoOn) {
    const size_t head = event("default", 300000).size() - 300000;
    Source source{{{"default", event("default", 200000)},
                   {"default", event("default", 100000)},
                   {"default", event("default", wire::kMaxPartBytes - head)},
                   {"default", event("default", wire::kMaxPartBytes - head + 1)},
                   {"default", event("default", 1)}}};
    const auto pieces = [] { return size_t{8112}; };
    const Received received = receive(source, {"default"}, pieces);
    EXPECT_EQ(received.data, source.stream());
    // 200000 | 100000 | a part exactly | one, cut off by a byte | that byte and the last one.
    EXPECT_EQ(received.parts, 5U);
}

TEST(RelayParts, NothingIsHeldOfAChangeOfAnotherChannel) {
    Source source{{{"other", event("other", 3000000)}, {"default", event("default", 1)}}};
    PartCutter cutter(source.recorded(), make_selection({"default"}));
    const std::string stream = source.stream();
    for (size_t at = 0; at < stream.size(); at += 8112) {
        ASSERT_TRUE(cutter.add(wire::Bytes(stream).substr(at, 8112)));
        EXPECT_LT(cutter.held(), 300U);
    }
    EXPECT_TRUE(cutter.finish());
}

TEST(RelayParts, WhatIsOtherThanRecordedNeverComesToItsEnd) {
    Source source{{{"default", event("default", 40)}, {"other", event("other", 40)}, {"default", event("default", 2)}}};
    const std::string stream = source.stream();
    for (size_t at = 0; at <= stream.size(); ++at) {
        // A flipped bit, or the end missing.
        std::string bad = stream;
        if (at < stream.size()) {
            bad[at] ^= 1;
        } else {
            bad.pop_back();
        }
        PartCutter cutter(source.recorded(), make_selection({"default"}));
        EXPECT_FALSE(cutter.add(bad) && cutter.finish()) << at;
        EXPECT_FALSE(cutter.fault().empty());
    }
    // A whole change missing, or twice, or of a channel's other count.
    for (const std::string& bad :
         {source.changes[0].second + source.changes[1].second, stream + source.changes[2].second,
          source.changes[1].second + source.changes[2].second}) {
        PartCutter cutter(source.recorded(), make_selection({"default"}));
        EXPECT_FALSE(cutter.add(bad) && cutter.finish());
    }
    auto recorded = source.recorded();
    recorded->channels[0].count += 1;
    PartCutter cutter(recorded, make_selection({"default"}));
    EXPECT_TRUE(cutter.add(stream));
    EXPECT_FALSE(cutter.finish());
}

TEST(RelayParts, AnAlterTellsOfAShapeOfAnotherChannel) {
    const auto shape = [](int64_t id, const std::string& channel) {
        return std::make_shared<const Shape>(Shape{id, "", channel});
    };
    Source source{{{"default", alter(8, 7)}, {"other", alter(9, 8)}},
                  {shape(7, "default"), shape(8, "default"), shape(9, "other")}};
    PartCutter both(source.recorded(), make_selection({"default", "other"}));
    ASSERT_TRUE(both.add(source.stream()) && both.finish());
    EXPECT_TRUE(both.foreign().empty());
    PartCutter other(source.recorded(), make_selection({"other"}));
    ASSERT_TRUE(other.add(source.stream()) && other.finish());
    ASSERT_EQ(other.foreign().size(), 1U);
    EXPECT_EQ(other.foreign()[0].shape->id, 8);
    // One that was not recorded with it is no shape at all.
    source.shapes.erase(source.shapes.begin());
    PartCutter broken(source.recorded(), make_selection({"default"}));
    EXPECT_FALSE(broken.add(source.stream()));
}

TEST(RelayParts, BeginCoversWhatLiesBeforeAndHasTheSubscribersTotals) {
    Source source{{{"default", event("default", 40)}, {"other", event("other", 40)}}};
    auto recorded = source.recorded();
    recorded->epoch = 3;
    recorded->nonce = "9f2c41aa";
    recorded->context = "trace";
    const zmq::message_t body = pack_begin(*recorded, 2, make_selection({"other"}));
    wire::Begin begin;
    ASSERT_TRUE(wire::read_begin(wire::Bytes(static_cast<const char*>(body.data()), body.size()), begin));
    EXPECT_EQ(begin.prev, 2U);
    EXPECT_EQ(begin.number, 5U);
    EXPECT_EQ(begin.total, 2U);
    EXPECT_EQ(begin.bytes, source.stream().size());
    EXPECT_FALSE(begin.has_origin);
    EXPECT_EQ(begin.context, "trace");
    wire::Reader channels(begin.channels);
    uint32_t count = 0;
    wire::ChannelTotal total;
    ASSERT_TRUE(channels.read_array(count) && count == 1 && wire::read_channel_total(channels, total));
    EXPECT_EQ(total.name, "other");
    EXPECT_EQ(total.count, 1U);
}

}  // namespace
}  // namespace paysync::relay

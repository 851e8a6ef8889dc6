// Gaps and alters on their way through the relay: they are changes of their shape's channel, and an alter needs two
// shapes.
#include <gtest/gtest.h>

#include "relay/batch.hpp"
#include "relay/inspection.hpp"
#include "relay/packing.hpp"
#include "wire/change.hpp"

namespace paysync::relay {
namespace {

std::string packed(const std::function<void(Packer&)>& write) {
    std::string out;
    StringSink sink{out};
    Packer packer(sink);
    write(packer);
    return out;
}

std::string description(const std::string& channel) {
    return packed([&](Packer& packer) {
        packer.pack_array(5);
        pack_str(packer, "public");
        pack_str(packer, "t");
        pack_str(packer, channel);
        packer.pack_array(1);
        packer.pack_array(4);
        pack_str(packer, "id");
        pack_str(packer, "bigint");
        packer.pack_int(2);
        packer.pack_int(1);
        packer.pack_array(0);
    });
}

std::string gap(int shape, const std::string& reason) {
    return packed([&](Packer& packer) {
        packer.pack_array(4);
        packer.pack_int(5);
        packer.pack_int(shape);
        packer.pack_int(0);
        pack_str(packer, reason);
    });
}

std::string alter(int shape, int previous) {
    return packed([&](Packer& packer) {
        packer.pack_array(5);
        packer.pack_int(6);
        packer.pack_int(shape);
        packer.pack_int(0);
        packer.pack_int(previous);
        packer.pack_map(0);
    });
}

// Shapes 7 and 8 are of channel "default", 9 is of "other", 10 of "third".
ShapeCache cache() {
    ShapeCache shapes;
    EXPECT_TRUE(shapes.add(7, description("default")));
    EXPECT_TRUE(shapes.add(8, description("default")));
    EXPECT_TRUE(shapes.add(9, description("other")));
    EXPECT_TRUE(shapes.add(10, description("third")));
    return shapes;
}

// A transaction of changes, each with its channel, whose closing record lists `shapes`.
RawTransaction raw(const std::vector<std::pair<std::string, std::string>>& changes, std::vector<int64_t> shapes) {
    RawTransaction raw;
    raw.transaction->number = 1;
    raw.transaction->nonce = "9f2c41aa";
    raw.transaction->changes = changes.size();
    raw.shapes = std::move(shapes);
    std::map<std::string, ChannelShare> shares;
    std::string stream;
    for (const auto& [channel, bytes] : changes) {
        stream += bytes;
        raw.digest += wire::digest_of(bytes);
        ChannelShare& share = shares[channel];
        share.name = channel;
        share.count += 1;
        share.digest += wire::digest_of(bytes);
    }
    for (const auto& [channel, share] : shares) raw.transaction->channels.push_back(share);
    raw.transaction->keep(std::move(stream));
    return raw;
}

std::vector<int64_t> shapes_for(const TransactionPtr& transaction, const Selection& selection) {
    Window window(0);
    window.push(transaction);
    const BatchPtr batch = pack_batch(window, 0, 1, selection, 1 << 16);
    EXPECT_FALSE(batch->refusal);
    std::vector<int64_t> ids;
    for (const ShapePtr& shape : batch->shapes) ids.push_back(shape->id);
    std::sort(ids.begin(), ids.end());
    return ids;
}

TEST(RelayAlter, BothShapesGoAheadOfAnAlter) {
    // Rule: a gap and an alter are sent to subscribers of their channel, with every shape that they name.
    for (const bool verify : {true, false}) {
        const TransactionPtr transaction =
            inspect(raw({{"default", gap(7, "rewritten")}, {"default", alter(8, 7)}}, {7, 8}), cache(), verify);
        ASSERT_FALSE(transaction->refusal) << transaction->refusal->detail;
        EXPECT_EQ(shapes_for(transaction, make_selection({"default"})), (std::vector<int64_t>{7, 8}));
        EXPECT_EQ(shapes_for(transaction, make_selection({"other"})), (std::vector<int64_t>{}));
    }
}

TEST(RelayAlter, AShapeOfAnotherChannelComesAlong) {
    // Rule: where an alter comes from a shape of another channel, a subscriber of the alter's channel gets that shape
    // too, and nobody else gets any but its own.
    for (const bool verify : {true, false}) {
        const TransactionPtr transaction =
            inspect(raw({{"default", alter(8, 9)}, {"other", gap(9, "")}, {"third", gap(10, "")}}, {9, 8, 10}), cache(),
                    verify);
        ASSERT_FALSE(transaction->refusal) << transaction->refusal->detail;
        EXPECT_EQ(shapes_for(transaction, make_selection({"default"})), (std::vector<int64_t>{8, 9}));
        EXPECT_EQ(shapes_for(transaction, make_selection({"other"})), (std::vector<int64_t>{9}));
        EXPECT_EQ(shapes_for(transaction, make_selection({"third"})), (std::vector<int64_t>{10}));
        EXPECT_EQ(shapes_for(transaction, make_selection({"default", "other"})), (std::vector<int64_t>{8, 9}));
    }
}

TEST(RelayAlter, AnAlterFromAShapeThatWasNotRecordedIsCorrupt) {
    // Rule: an alter whose other shape is not at hand is never sent, and the refusal says which shape it is.
    const TransactionPtr unlisted = inspect(raw({{"default", alter(8, 7)}}, {8}), cache(), true);
    ASSERT_TRUE(unlisted->refusal);
    EXPECT_EQ(unlisted->refusal->code, wire::Error::kCorrupt);
    EXPECT_NE(unlisted->refusal->detail.find("comes from shape 7,"), std::string::npos) << unlisted->refusal->detail;
    const TransactionPtr unknown = inspect(raw({{"default", alter(8, 70)}}, {8, 70}), cache(), true);
    ASSERT_TRUE(unknown->refusal);
    EXPECT_NE(unknown->refusal->detail.find("does not know shape 70"), std::string::npos) << unknown->refusal->detail;
}

}  // namespace
}  // namespace paysync::relay

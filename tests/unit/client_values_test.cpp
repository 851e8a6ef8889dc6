// From a change's bytes to values and to JSON: rows, keys, events, and text that is none.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "clients/cpp/batch.hpp"
#include "tests/unit/client_fake_relay.hpp"
#include "wire/digest.hpp"
#include "wire/utf8.hpp"

namespace paysync {
namespace {

using namespace std::string_literals;
using testing::pack_text;
using testing::packed;
using testing::Packer;

// The key is (b, a), so that its order is not the table's.
Shapes shapes() {
    auto table = std::make_shared<Table>();
    table->shape = 7;
    table->schema = "public";
    table->name = "t\"";
    table->channel = "default";
    table->columns = {{"a", "bigint", Form::kInt}, {"b", "integer", Form::kInt}, {"c", "text", Form::kText}};
    table->key = {1, 0};
    // What became of it: c was renamed and d, an array, is new.
    auto altered = std::make_shared<Table>(*table);
    altered->shape = 8;
    altered->columns[2].name = "e";
    altered->columns.push_back({"d", "real[]", Form::kFloat4, true, 4});
    // No key, and a column of every form that JSON does not have.
    auto keyless = std::make_shared<Table>(*table);
    keyless->shape = 9;
    keyless->key.clear();
    return {{7, table}, {8, altered}, {9, keyless}};
}

Transaction decoded(const std::string& data) {
    RawTransaction raw;
    raw.position = Position{3, "9f2c41aa", 1};
    raw.data = data;
    Transaction transaction = decode(raw, shapes(), nullptr);
    return transaction;
}

// The only change's JSON.
std::string json_of(const std::string& change) {
    const std::string line = to_json(decoded(change));
    EXPECT_FALSE(nlohmann::json::parse(line).empty());
    const std::string head = "\"changes\":[";
    const size_t start = line.find(head) + head.size();
    return line.substr(start, line.size() - start - 2);
}

std::string update(const std::function<void(Packer&)>& old_row) {
    return packed([&](Packer& packer) {
        packer.pack_array(5).pack(1).pack(7).pack(0).pack_array(3).pack(2).pack(9);
        pack_text(packer, "x");
        old_row(packer);
    });
}

TEST(ClientValues, KeyFindsTheRow) {
    // Rule: key and old have the old key where it changed, all in column order; an unchanged key comes from the new
    // row.
    EXPECT_EQ(json_of(update([](Packer& packer) { packer.pack_nil(); })),
              R"({"channel":"default","table":"public.t\"","op":"update","key":{"a":"2","b":9},"old":null,)"
              R"("new":{"a":"2","b":9,"c":"x"}})");
    EXPECT_EQ(json_of(update([](Packer& packer) { packer.pack_map(2).pack(1).pack(8).pack(0).pack(1); })),
              R"({"channel":"default","table":"public.t\"","op":"update","key":{"a":"1","b":8},)"
              R"("old":{"a":"1","b":8},"new":{"a":"2","b":9,"c":"x"}})");
    EXPECT_EQ(json_of(packed([](Packer& packer) {
                  packer.pack_array(4).pack(2).pack(7).pack(0).pack_map(2).pack(1).pack(8).pack(0).pack(1);
              })),
              R"({"channel":"default","table":"public.t\"","op":"delete","key":{"a":"1","b":8},)"
              R"("old":{"a":"1","b":8},"new":null})");
    EXPECT_EQ(json_of(packed([](Packer& packer) { packer.pack_array(3).pack(3).pack(7).pack(0); })),
              R"({"channel":"default","table":"public.t\"","op":"truncate","key":null,"old":null,"new":null})");
}

std::vector<int64_t> key_numbers(const Transaction& transaction) {
    std::vector<int64_t> numbers;
    for (const Value* value : transaction.changes.at(0).key()) numbers.push_back(std::get<int64_t>(*value));
    return numbers;
}

TEST(ClientValues, OldValuesMayBeMoreOrLessThanTheKey) {
    // Rule: old values that hold the whole key give the key; those that hold nothing of it leave it to the new row.
    const auto full = update([](Packer& p) {
        p.pack_map(3).pack(0).pack(1).pack(1).pack(8).pack(2);
        pack_text(p, "w");
    });
    EXPECT_EQ(json_of(full), R"({"channel":"default","table":"public.t\"","op":"update","key":{"a":"1","b":8},)"
                             R"("old":{"a":"1","b":8,"c":"w"},"new":{"a":"2","b":9,"c":"x"}})");
    EXPECT_EQ(key_numbers(decoded(full)), (std::vector<int64_t>{8, 1}));
    const auto changed = update([](Packer& p) { p.pack_map(1).pack(2).pack_nil(); });
    EXPECT_EQ(json_of(changed), R"({"channel":"default","table":"public.t\"","op":"update","key":{"a":"2","b":9},)"
                                R"("old":{"c":null},"new":{"a":"2","b":9,"c":"x"}})");
    EXPECT_EQ(key_numbers(decoded(changed)), (std::vector<int64_t>{9, 2}));
    EXPECT_EQ(key_numbers(decoded(update([](Packer& p) { p.pack_nil(); }))), (std::vector<int64_t>{9, 2}));
    const auto part = update([](Packer& p) { p.pack_map(2).pack(0).pack(1).pack(2).pack_nil(); });
    EXPECT_THROW(decoded(part), Error);
    const auto keyless = packed([](Packer& p) { p.pack_array(4).pack(2).pack(9).pack(0).pack_map(0); });
    EXPECT_EQ(json_of(keyless),
              R"({"channel":"default","table":"public.t\"","op":"delete","key":{},"old":{},"new":null})");
    EXPECT_TRUE(decoded(keyless).changes[0].key().empty());
    EXPECT_TRUE(decoded(packed([](Packer& p) { p.pack_array(3).pack(3).pack(7).pack(0); })).changes[0].key().empty());
}

TEST(ClientValues, GapsAndAltersAreTold) {
    // Rule: a gap has its reason, an alter both shapes and the new columns' values; neither has a key or a row.
    const std::string gap = packed([](Packer& p) {
        p.pack_array(4).pack(5).pack(7).pack(2);
        pack_text(p, "a \"rewrite\"");
    });
    EXPECT_EQ(json_of(gap), R"({"channel":"default","table":"public.t\"","op":"gap","key":null,"old":null,"new":null,)"
                            R"("reason":"a \"rewrite\""})");
    EXPECT_EQ(decoded(gap).changes[0].reason, "a \"rewrite\"");
    EXPECT_TRUE(decoded(gap).changes[0].key().empty());
    const std::string alter = packed([](Packer& p) {
        p.pack_array(5).pack(6).pack(8).pack(2).pack(7).pack_map(1).pack(3).pack_array(2).pack(0.5F).pack_nil();
    });
    EXPECT_EQ(json_of(alter),
              R"({"channel":"default","table":"public.t\"","op":"alter","key":null,"old":null,"new":null,)"
              R"("columns":{"a":"bigint","b":"integer","e":"text","d":"real[]"},"values":{"d":[0.5,null]}})");
    const Transaction transaction = decoded(alter);
    const Change& change = transaction.changes[0];
    EXPECT_EQ(change.table->shape, 8);
    EXPECT_EQ(change.previous->shape, 7);
    EXPECT_EQ(change.added_values,
              (std::vector<std::pair<uint32_t, Value>>{{3, Array{{2}, {Scalar(0.5F), Scalar(std::monostate())}}}}));
    const auto altered = [](const std::function<void(Packer&)>& rest) {
        return packed([&](Packer& p) {
            p.pack_array(5).pack(6).pack(8).pack(2);
            rest(p);
        });
    };
    EXPECT_THROW(decoded(altered([](Packer& p) { p.pack(77).pack_map(0); })), Error);
    EXPECT_THROW(decoded(altered([](Packer& p) { p.pack(7).pack_map(1).pack(4).pack_nil(); })), Error);
    EXPECT_THROW(decoded(altered([](Packer& p) { p.pack(7).pack_map(1).pack(3).pack(1.5); })), Error);
}

TEST(ClientValues, AnAlterIsOnlyTakenWithBothShapes) {
    // Rule: the shape that an alter comes from must have been described, as that of any change.
    RawTransaction raw;
    raw.position = Position{3, "9f2c41aa", 1};
    raw.total = 1;
    const auto alter_from = [&raw](int previous) {
        const std::string change =
            packed([&](Packer& p) { p.pack_array(5).pack(6).pack(8).pack(2).pack(previous).pack_map(0); });
        static std::string data;
        static std::string channels;
        data = change;
        channels = packed([&](Packer& p) {
            char digest[wire::kDigestBytes];
            wire::put_digest(digest, wire::digest_of(change));
            p.pack_array(1).pack_array(3);
            pack_text(p, "default");
            p.pack(1).pack_bin(16).pack_bin_body(digest, 16);
        });
        raw.data = data;
        raw.channels = channels;
    };
    alter_from(7);
    EXPECT_NO_THROW(verify(raw, shapes()));
    alter_from(70);
    EXPECT_THROW(verify(raw, shapes()), Error);
}

TEST(ClientValues, AnEventStaysOnItsLine) {
    // Rule: headers and payload are JSON as captured; white space in them never breaks the line.
    const std::string event = packed([](Packer& packer) {
        packer.pack_array(7).pack(4);
        pack_text(packer, "orders");
        packer.pack(0);
        pack_text(packer, "paid");
        pack_text(packer, "k");
        pack_text(packer, "{}");
        pack_text(packer, "{\r\n\"a\": 1.10}");
    });
    EXPECT_EQ(
        json_of(event),
        R"({"channel":"orders","table":null,"op":"event","type":"paid","key":"k","headers":{},"payload":{  "a": 1.10}})");
}

TEST(ClientValues, RefusesRowsThatAreNotOfTheirShape) {
    // Rule: too few or too many columns, a column twice or unknown, a value of another form, a delete without its key.
    const auto insert = [](const std::function<void(Packer&)>& row) {
        return packed([&](Packer& packer) {
            packer.pack_array(4).pack(0).pack(7).pack(0);
            row(packer);
        });
    };
    EXPECT_THROW(decoded(insert([](Packer& p) { p.pack_array(2).pack(1).pack(2); })), Error);
    EXPECT_THROW(decoded(insert([](Packer& p) { p.pack_array(4).pack(1).pack(2).pack_nil().pack_nil(); })), Error);
    EXPECT_THROW(decoded(insert([](Packer& p) { p.pack_array(3).pack(true).pack(2).pack_nil(); })), Error);
    EXPECT_THROW(decoded(update([](Packer& p) { p.pack_map(1).pack(3).pack(1); })), Error);
    EXPECT_THROW(decoded(update([](Packer& p) { p.pack_map(1).pack(-1).pack(1); })), Error);
    EXPECT_THROW(decoded(update([](Packer& p) { p.pack_map(2).pack(0).pack(1).pack(0).pack(1); })), Error);
    EXPECT_THROW(
        decoded(packed([](Packer& p) { p.pack_array(4).pack(2).pack(7).pack(0).pack_map(1).pack(1).pack(8); })), Error);
    EXPECT_THROW(decoded(packed([](Packer& p) { p.pack_array(3).pack(3).pack(80).pack(0); })), Error);
}

TEST(ClientValues, KnowsUtf8) {
    // Rule: RFC 3629, at any place of a text and at its end.
    for (const std::string& good : {""s, "a"s, "\x7f"s, "\xc2\x80"s, "\xdf\xbf"s, "\xe0\xa0\x80"s, "\xed\x9f\xbf"s,
                                    "\xee\x80\x80"s, "\xef\xbf\xbf"s, "\xf0\x90\x80\x80"s, "\xf4\x8f\xbf\xbf"s, "\0"s})
        for (const size_t before : {0, 1, 7, 8, 9})
            EXPECT_TRUE(wire::is_utf8(std::string(before, 'x') + good + "tail"));
    for (const std::string& bad : {"\x80"s, "\xbf"s, "\xc0\x80"s, "\xc1\xbf"s, "\xc2"s, "\xc2\xc0"s, "\xe0\x9f\xbf"s,
                                   "\xed\xa0\x80"s, "\xe1\x80"s, "\xf0\x8f\xbf\xbf"s, "\xf4\x90\x80\x80"s,
                                   "\xf5\x80\x80\x80"s, "\xf1\x80\x80"s, "\xff"s, "\xfe"s}) {
        for (const size_t before : {0, 1, 7, 8, 9}) {
            EXPECT_FALSE(wire::is_utf8(std::string(before, 'x') + bad + "tail more than eight"));
            EXPECT_FALSE(wire::is_utf8(std::string(before, 'x') + bad));
        }
    }
}

TEST(ClientValues, PositionsAndUuidsAreText) {
    // Rule: a position comes back from its text; a uuid is lower-case hexadecimal in five groups.
    const Position position{3, "9f2c41aa", 184467};
    EXPECT_EQ(position.text(), "3.9f2c41aa:184467");
    EXPECT_EQ(Position::parse(position.text()), position);
    EXPECT_FALSE(Position::parse("3.9f2c41aa"));
    Uuid uuid;
    for (size_t i = 0; i < 16; ++i) uuid.bytes[i] = static_cast<uint8_t>(i * 17);
    EXPECT_EQ(uuid.text(), "00112233-4455-6677-8899-aabbccddeeff");
}

}  // namespace
}  // namespace paysync

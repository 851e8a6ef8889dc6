// Arrays as they are walked: what is even comes with its dimensions, what is not is refused, and nothing is believed.
#include "wire/array.hpp"

#include <gtest/gtest.h>

#include <msgpack.hpp>
#include <random>
#include <string>
#include <vector>

namespace paysync::wire {
namespace {

using namespace std::string_literals;

struct Recorder {
    std::string seen;
    void open(uint32_t length) { seen += "(" + std::to_string(length); }
    void close() { seen += ")"; }
    bool element(Reader& reader) {
        int64_t number = 0;
        if (reader.read_nil()) {
            seen += " nil";
            return true;
        }
        if (!reader.read_int(number)) return false;
        seen += " " + std::to_string(number);
        return true;
    }
};

std::string walk(const std::string& bytes) {
    const std::vector<char> exact(bytes.begin(), bytes.end());
    Reader reader{Bytes(exact.data(), exact.size())};
    Recorder recorder;
    Dimensions dimensions;
    if (!walk_array(reader, recorder, dimensions) || !reader.at_end()) return "refused";
    for (int i = 0; i < dimensions.count; ++i) recorder.seen += " " + std::to_string(dimensions.length[i]);
    return recorder.seen;
}

TEST(WireArray, TellsElementsAndDimensions) {
    // Rule: elements come in the order of the bytes, around them the arrays they stand in; an empty array has no
    // dimension.
    EXPECT_EQ(walk("\x90"), "(0)");
    EXPECT_EQ(walk("\x93\x01\xc0\x03"), "(3 1 nil 3) 3");
    EXPECT_EQ(walk("\x92\x92\x01\x02\x92\x03\x04"), "(2(2 1 2)(2 3 4)) 2 2");
    EXPECT_EQ(walk("\xdc\x00\x02\xdd\x00\x00\x00\x01\x01\x91\xc0"s), "(2(1 1)(1 nil)) 2 1");
    EXPECT_EQ(walk("\x91\x91\x91\x91\x91\x92\x01\x02"), "(1(1(1(1(1(2 1 2)))))) 1 1 1 1 1 2");
}

TEST(WireArray, RefusesWhatIsNotEven) {
    // Rule: all arrays of one depth have the same length, elements stand at one depth only, at most six dimensions, and
    // only a whole array is empty.
    for (const std::string& uneven : {"\x92\x92\x01\x02\x91\x03"s,
                                      "\x92\x91\x01\x92\x02\x03"s,
                                      "\x92\x91\x01\x02"s,
                                      "\x92\x01\x91\x02"s,
                                      "\x92\x91\x01\xc0"s,
                                      "\x92\x91\x01\x91\x91\x02"s,
                                      "\x92\x91\x91\x01\x91\x02"s,
                                      "\x91\x90"s,
                                      "\x92\x90\x90"s,
                                      "\x92\x91\x01\x90"s,
                                      "\x92\x91\x92\x01\x02\x91\x91\x03"s,
                                      "\x91\x91\x91\x91\x91\x91\x91\x01"s,
                                      "\x91\xa1x"s,
                                      "\x91\x80"s,
                                      "\x01"s,
                                      "\xc0"s,
                                      ""s,
                                      "\x80"s,
                                      "\x92\x01"s,
                                      "\xdd\xff\xff\xff\xff\x01"s,
                                      "\x91\xdd\xff\xff\xff\xff\x01"s})
        EXPECT_EQ(walk(uneven), "refused") << testing::PrintToString(uneven);
}

// Packs an array of `lengths` whose elements count up, one of them nil, and says what walk() must find.
struct Even {
    msgpack::sbuffer buffer;
    std::string expected;
    int element = 0;

    explicit Even(const std::vector<uint32_t>& lengths) {
        add(lengths, 0);
        for (const uint32_t length : lengths) expected += " " + std::to_string(length);
    }
    void add(const std::vector<uint32_t>& lengths, size_t depth) {
        msgpack::packer<msgpack::sbuffer> packer(buffer);
        packer.pack_array(lengths[depth]);
        expected += "(" + std::to_string(lengths[depth]);
        for (uint32_t i = 0; i < lengths[depth]; ++i) {
            if (depth + 1 < lengths.size()) {
                add(lengths, depth + 1);
            } else if (++element % 5 == 0) {
                packer.pack_nil();
                expected += " nil";
            } else {
                packer.pack(element);
                expected += " " + std::to_string(element);
            }
        }
        expected += ")";
    }
};

TEST(WireArray, TakesEveryEvenArrayAndNoTruncationOfIt) {
    // Rule: any lengths in up to six dimensions are taken; cut off anywhere they are refused.
    std::mt19937_64 random(20261124);
    SCOPED_TRACE("seed 20261124");
    for (int round = 0; round < 300; ++round) {
        std::vector<uint32_t> lengths(1 + random() % kMostDimensions);
        for (uint32_t& length : lengths) length = static_cast<uint32_t>(1 + random() % 3);
        const Even even(lengths);
        const std::string bytes(even.buffer.data(), even.buffer.size());
        ASSERT_EQ(walk(bytes), even.expected);
        for (size_t length = 0; length < bytes.size(); ++length) ASSERT_EQ(walk(bytes.substr(0, length)), "refused");
    }
}

TEST(WireForm, ArraysAreFormsOfTheirElements) {
    // Rule: forms are 0 to 11, and each with 16 added; no other number is one.
    int forms = 0;
    for (uint64_t number = 0; number < 300; ++number) {
        if (!is_form(number)) continue;
        forms += 1;
        const auto form = static_cast<Form>(number);
        EXPECT_EQ(is_array(form), number >= 16);
        EXPECT_EQ(static_cast<uint64_t>(element_form(form)), number % 16);
        EXPECT_EQ(array_of(element_form(form)), static_cast<Form>(number | 16));
    }
    EXPECT_EQ(forms, 24);
    EXPECT_FALSE(is_form(UINT64_MAX));
    EXPECT_FALSE(is_form((uint64_t{1} << 32) + 2));
}

}  // namespace
}  // namespace paysync::wire

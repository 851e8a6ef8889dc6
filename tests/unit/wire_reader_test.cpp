// The bounds-checked cursor: every width of msgpack, every place to cut it off, every lie about a length.
#include "wire/reader.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace paysync::wire {
namespace {

using namespace std::string_literals;

// A copy on the heap without anything behind it, so that the sanitizer sees a read past the end.
class Exact {
public:
    explicit Exact(std::string_view bytes) : size_(bytes.size()), data_(new char[bytes.size()]) {
        std::copy(bytes.begin(), bytes.end(), data_.get());
    }
    [[nodiscard]] Bytes bytes() const { return Bytes(data_.get(), size_); }

private:
    size_t size_;
    std::unique_ptr<char[]> data_;
};

struct IntCase {
    std::string bytes;
    int64_t value;
};

const std::vector<IntCase>& int_cases() {
    static const std::vector<IntCase> cases = {
        {"\x00"s, 0},
        {"\x7f"s, 127},
        {"\xff"s, -1},
        {"\xe0"s, -32},
        {"\xcc\x00"s, 0},
        {"\xcc\xff"s, 255},
        {"\xcd\x00\x01"s, 1},
        {"\xcd\xff\xff"s, 65535},
        {"\xce\x00\x00\x00\x05"s, 5},
        {"\xce\xff\xff\xff\xff"s, 4294967295},
        {"\xcf\x00\x00\x00\x00\x00\x00\x00\x07"s, 7},
        {"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"s, INT64_MAX},
        {"\xd0\x80"s, -128},
        {"\xd0\x05"s, 5},
        {"\xd1\x80\x00"s, -32768},
        {"\xd1\xff\xff"s, -1},
        {"\xd2\x80\x00\x00\x00"s, INT32_MIN},
        {"\xd2\x7f\xff\xff\xff"s, INT32_MAX},
        {"\xd3\x80\x00\x00\x00\x00\x00\x00\x00"s, INT64_MIN},
        {"\xd3\xff\xff\xff\xff\xff\xff\xff\xff"s, -1},
        {"\xd3\x00\x00\x00\x00\x00\x00\x00\x01"s, 1},
    };
    return cases;
}

TEST(WireReader, TakesAnIntegerInEveryWidth) {
    // Rule: a reader accepts every width that holds the value, signed or not.
    for (const IntCase& example : int_cases()) {
        const Exact exact(example.bytes);
        Reader reader(exact.bytes());
        int64_t value = 99;
        ASSERT_TRUE(reader.read_int(value)) << example.value;
        EXPECT_EQ(value, example.value);
        EXPECT_TRUE(reader.at_end());
    }
}

TEST(WireReader, TakesAFloatOfItsOwnWidth) {
    // Rule: a float is read bit by bit, of exactly the width asked for, and from nowhere but a float.
    for (const std::string& bytes : {"\xca\x3f\xc0\x00\x00"s, "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"s}) {
        for (size_t length = 0; length <= bytes.size(); ++length) {
            const Exact exact(Bytes(bytes).substr(0, length));
            Reader reader(exact.bytes());
            float single = 9;
            double real = 9;
            const bool whole = length == bytes.size();
            EXPECT_EQ(reader.read_float32(single), whole && bytes.size() == 5);
            EXPECT_EQ(reader.read_float64(real), whole && bytes.size() == 9);
            EXPECT_EQ(single, whole && bytes.size() == 5 ? 1.5F : 9);
            EXPECT_EQ(real, whole && bytes.size() == 9 ? 1.5 : 9);
            EXPECT_EQ(reader.offset(), whole ? length : 0);
        }
    }
    const Exact zero("\xca\x80\x00\x00\x00"s);
    Reader reader(zero.bytes());
    float negative = 1;
    ASSERT_TRUE(reader.read_float32(negative));
    EXPECT_TRUE(std::signbit(negative));
    const Exact integer("\x05"s);
    Reader other(integer.bytes());
    EXPECT_FALSE(other.read_float32(negative));
}

TEST(WireReader, TakesNoNegativeIntegerWhereOneMustNotBe) {
    // Rule: read_uint refuses what is below zero, leaves the cursor and the value alone.
    for (const IntCase& example : int_cases()) {
        const Exact exact(example.bytes);
        Reader reader(exact.bytes());
        uint64_t value = 99;
        EXPECT_EQ(reader.read_uint(value), example.value >= 0) << example.value;
        EXPECT_EQ(value, example.value >= 0 ? static_cast<uint64_t>(example.value) : 99U);
        EXPECT_EQ(reader.offset(), example.value >= 0 ? example.bytes.size() : 0U);
    }
}

TEST(WireReader, TellsAnUnsignedNumberFromASignedOne) {
    // Rule: 2^63 and more is an unsigned integer and no signed one.
    const Exact exact("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"s);
    Reader reader(exact.bytes());
    int64_t as_signed = 0;
    uint64_t as_unsigned = 0;
    EXPECT_FALSE(reader.read_int(as_signed));
    EXPECT_EQ(reader.offset(), 0U);
    EXPECT_TRUE(reader.read_uint(as_unsigned));
    EXPECT_EQ(as_unsigned, uint64_t{1} << 63);
}

TEST(WireReader, RefusesAnIntegerThatIsCutOff) {
    // Rule: a value that is cut off anywhere is refused and the cursor stays.
    for (const IntCase& example : int_cases()) {
        for (size_t length = 0; length < example.bytes.size(); ++length) {
            const Exact exact(std::string_view(example.bytes).substr(0, length));
            Reader reader(exact.bytes());
            int64_t value = 0;
            uint64_t positive = 0;
            EXPECT_FALSE(reader.read_int(value));
            EXPECT_FALSE(reader.read_uint(positive));
            EXPECT_FALSE(reader.skip());
            EXPECT_EQ(reader.offset(), 0U);
        }
    }
}

TEST(WireReader, TakesStringsInEveryWidthAndRefusesThemCutOff) {
    // Rule: str and bin are views of exactly the bytes that are there, whatever the width of their length.
    const std::vector<std::pair<std::string, bool>> heads = {{"\xa3"s, true},
                                                             {"\xd9\x03"s, true},
                                                             {"\xda\x00\x03"s, true},
                                                             {"\xdb\x00\x00\x00\x03"s, true},
                                                             {"\xc4\x03"s, false},
                                                             {"\xc5\x00\x03"s, false},
                                                             {"\xc6\x00\x00\x00\x03"s, false}};
    for (const auto& [head, is_str] : heads) {
        const std::string whole = head + "abc";
        for (size_t length = 0; length <= whole.size(); ++length) {
            const Exact exact(std::string_view(whole).substr(0, length));
            Reader reader(exact.bytes());
            Bytes value;
            EXPECT_FALSE(is_str ? reader.read_bin(value) : reader.read_str(value)) << "the other type";
            const bool ok = is_str ? reader.read_str(value) : reader.read_bin(value);
            EXPECT_EQ(ok, length == whole.size());
            EXPECT_EQ(reader.offset(), ok ? whole.size() : 0U);
            if (ok) {
                EXPECT_EQ(value, "abc");
            }
        }
    }
}

TEST(WireReader, BelievesNoLength) {
    // Rule: a length of up to 4 GiB is refused where the bytes are not there, and nothing is read or allocated.
    for (const std::string& lie :
         {"\xdb\xff\xff\xff\xff"s, "\xc6\xff\xff\xff\xff"s, "\xdd\xff\xff\xff\xff"s, "\xdf\xff\xff\xff\xff"s,
          "\xdf\x80\x00\x00\x00"s, "\xc9\xff\xff\xff\xff"s, "\xda\xff\xff"s, "\xc5\xff\xff"s, "\xdc\xff\xff"s,
          "\xde\xff\xff"s, "\xd9\xff"s, "\xc4\xff"s, "\xbf"s, "\x9f"s, "\x8f"s, "\xc7\xff"s, "\xc8\xff\xff"s}) {
        const Exact exact(lie + "\xc0\xc0\xc0");
        Reader reader(exact.bytes());
        Bytes value;
        uint32_t count = 0;
        EXPECT_FALSE(reader.read_str(value));
        EXPECT_FALSE(reader.read_bin(value));
        EXPECT_FALSE(reader.read_array(count));
        EXPECT_FALSE(reader.read_map(count));
        EXPECT_FALSE(reader.skip());
        EXPECT_EQ(reader.offset(), 0U);
    }
}

TEST(WireReader, CountsElementsInEveryWidth) {
    // Rule: an array needs a byte an element, a map two a pair.
    for (const std::string& head : {"\x92"s, "\xdc\x00\x02"s, "\xdd\x00\x00\x00\x02"s}) {
        uint32_t count = 0;
        const std::string whole = head + "\xc0\xc0";
        Reader enough{Bytes(whole)};
        EXPECT_TRUE(enough.read_array(count));
        EXPECT_EQ(count, 2U);
        Reader few{Bytes(whole).substr(0, whole.size() - 1)};
        EXPECT_FALSE(few.read_array(count));
    }
    for (const std::string& head : {"\x81"s, "\xde\x00\x01"s, "\xdf\x00\x00\x00\x01"s}) {
        uint32_t count = 0;
        const std::string whole = head + "\xc0\xc0";
        Reader enough{Bytes(whole)};
        EXPECT_TRUE(enough.read_map(count));
        EXPECT_EQ(count, 1U);
        Reader few{Bytes(whole).substr(0, whole.size() - 1)};
        EXPECT_FALSE(few.read_map(count));
    }
}

TEST(WireReader, SkipsEveryTypeAndNothingCutOff) {
    // Rule: skip() passes over exactly one value with all it holds.
    const std::string fixext16 = "\xd8\x01" + std::string(16, 'x');
    for (const std::string& value : {"\xc0"s,
                                     "\xc2"s,
                                     "\xc3"s,
                                     "\xca\x00\x00\x00\x00"s,
                                     "\xcb\x00\x00\x00\x00\x00\x00\x00\x00"s,
                                     "\xa1x"s,
                                     "\xc4\x01x"s,
                                     "\x90"s,
                                     "\x80"s,
                                     "\x92\x01\x91\x02"s,
                                     "\x82\x01\xc0\x02\x81\x03\x04"s,
                                     "\xd4\x01x"s,
                                     "\xd5\x01xx"s,
                                     "\xd6\x01xxxx"s,
                                     "\xd7\x01xxxxxxxx"s,
                                     fixext16,
                                     "\xc7\x02\x01xx"s,
                                     "\xc7\x00\x01"s,
                                     "\xc8\x00\x02\x01xx"s,
                                     "\xc9\x00\x00\x00\x02\x01xx"s}) {
        const Exact whole(value + "\x05");
        Reader reader(whole.bytes());
        ASSERT_TRUE(reader.skip());
        EXPECT_EQ(reader.offset(), value.size());
        for (size_t length = 0; length < value.size(); ++length) {
            const Exact cut(std::string_view(value).substr(0, length));
            Reader short_reader(cut.bytes());
            EXPECT_FALSE(short_reader.skip()) << length;
            EXPECT_EQ(short_reader.offset(), 0U);
        }
    }
    Reader reserved{Bytes("\xc1")};
    EXPECT_FALSE(reserved.skip());
    EXPECT_EQ(reserved.peek(), Type::kBad);
}

TEST(WireReader, RefusesToNestDeeperThanSixteen) {
    // Rule: sixteen levels are passed, more are refused, whatever they claim; none costs stack.
    for (const std::string& level : {"\x91"s, "\x81\x01"s}) {
        std::string nested;
        for (size_t i = 0; i < kDeepest; ++i) nested += level;
        const std::string deepest = nested + "\x90";
        Reader whole{Bytes(deepest)};
        EXPECT_TRUE(whole.skip());
        EXPECT_TRUE(whole.at_end());
        const std::string deeper = nested + level + "\xc0";
        Reader refused{Bytes(deeper)};
        EXPECT_FALSE(refused.skip());
        EXPECT_EQ(refused.offset(), 0U);
    }
    const std::string bomb = std::string(5'000'000, '\x91') + "\xc0";
    Reader deep{Bytes(bomb)};
    EXPECT_FALSE(deep.skip());
    const std::string siblings = "\x93\x91\xc0\x92\xc0\x91\xc0\x80\x07"s;
    Reader side{Bytes(siblings)};
    EXPECT_TRUE(side.skip());
    EXPECT_EQ(side.offset(), siblings.size() - 1);
    std::string wide;
    for (int i = 0; i < 20000; ++i) wide += "\xdc\xff\xff"s;
    Reader lies{Bytes(wide)};
    EXPECT_FALSE(lies.skip());
}

TEST(WireReader, StandsStillOnAnotherType) {
    // Rule: a read of a type that does not stand next is refused, and the right one still succeeds.
    const std::string bytes = "\xc0\xc3"s;
    Reader reader{Bytes(bytes)};
    bool truth = false;
    int64_t number = 0;
    EXPECT_FALSE(reader.read_bool(truth));
    EXPECT_FALSE(reader.read_int(number));
    EXPECT_TRUE(reader.read_nil());
    EXPECT_FALSE(reader.read_nil());
    EXPECT_TRUE(reader.read_bool(truth));
    EXPECT_TRUE(truth);
    EXPECT_EQ(reader.peek(), Type::kEnd);
    EXPECT_FALSE(reader.skip());
    Reader nothing{Bytes()};
    EXPECT_TRUE(nothing.at_end());
    EXPECT_FALSE(nothing.read_nil());
    EXPECT_TRUE(nothing.rest().empty());
}

}  // namespace
}  // namespace paysync::wire

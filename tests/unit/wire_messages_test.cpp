// Heads of messages, positions, and the maps of HELLO, WELCOME and ERROR.
#include "wire/messages.hpp"

#include <gtest/gtest.h>

#include <msgpack.hpp>
#include <string>

#include "wire/frame.hpp"
#include "wire/position.hpp"
#include "wire/shape.hpp"

namespace paysync::wire {
namespace {

using namespace std::string_literals;
using Packer = msgpack::packer<msgpack::sbuffer>;

template <typename Write>
std::string written(Write write) {
    msgpack::sbuffer buffer;
    Packer packer(buffer);
    write(packer);
    return std::string(buffer.data(), buffer.size());
}

TEST(WireFrame, StandsAsTheFormatSays) {
    // Rule: 32 bytes, big-endian, magic and version first.
    char bytes[kFrameBytes];
    encode_frame(Frame{Kind::kError, 0x0102030405060708, UINT64_MAX, 5}, bytes);
    EXPECT_EQ(std::string(bytes, sizeof bytes), "PS\x01\x8f\x00\x00\x00\x00"s + "\x01\x02\x03\x04\x05\x06\x07\x08"s +
                                                    std::string(8, '\xff') + "\x00\x00\x00\x00\x00\x00\x00\x05"s);
    Frame frame;
    ASSERT_TRUE(decode_frame(Bytes(bytes, sizeof bytes), frame));
    EXPECT_EQ(frame.kind, Kind::kError);
    EXPECT_EQ(frame.session, 0x0102030405060708U);
    EXPECT_EQ(frame.a, UINT64_MAX);
    EXPECT_EQ(frame.b, 5U);
}

TEST(WireFrame, RefusesOtherHeads) {
    // Rule: a wrong length, magic or version, or any flag, is no head of this version.
    char bytes[kFrameBytes];
    encode_frame(Frame{}, bytes);
    const std::string good(bytes, sizeof bytes);
    Frame frame;
    EXPECT_FALSE(decode_frame(Bytes(good).substr(0, 31), frame));
    EXPECT_FALSE(decode_frame(Bytes(good + "x"), frame));
    EXPECT_FALSE(decode_frame(Bytes(), frame));
    for (const size_t at : {0, 1, 2, 4, 5, 6, 7}) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x10);
        EXPECT_FALSE(decode_frame(Bytes(bad), frame)) << at;
    }
}

TEST(WireFrame, KnowsWhatPasses) {
    // Rule: codes from 400 to 499 pass by themselves, no others.
    EXPECT_TRUE(is_transient(400));
    EXPECT_TRUE(is_transient(499));
    EXPECT_FALSE(is_transient(399));
    EXPECT_FALSE(is_transient(500));
}

TEST(WirePosition, TakesExactlyItsText) {
    // Rule: EPOCH.NONCE:NUMBER without signs, spaces, leading zeros or upper case, within 63 bits.
    PositionParts parts;
    ASSERT_TRUE(parse_position("3.9f2c41aa:184467", parts));
    EXPECT_EQ(parts.epoch, 3U);
    EXPECT_EQ(parts.nonce, "9f2c41aa");
    EXPECT_EQ(parts.number, 184467U);
    EXPECT_TRUE(parse_position("1.00000000:0", parts));
    EXPECT_TRUE(parse_position("9223372036854775807.ffffffff:9223372036854775807", parts));
    for (const Bytes wrong : {Bytes(""),
                              Bytes("3"),
                              Bytes("3."),
                              Bytes("3.9f2c41aa"),
                              Bytes("3.9f2c41aa:"),
                              Bytes("0.9f2c41aa:1"),
                              Bytes("03.9f2c41aa:1"),
                              Bytes("3.9f2c41aa:01"),
                              Bytes("3.9F2C41AA:1"),
                              Bytes("3.9f2c41a:1"),
                              Bytes("3.9f2c41aab:1"),
                              Bytes("3.9f2c41aa:-1"),
                              Bytes("3.9f2c41aa:+1"),
                              Bytes(" 3.9f2c41aa:1"),
                              Bytes("3.9f2c41aa:1 "),
                              Bytes("3.9f2c41aa:9223372036854775808"),
                              Bytes("9223372036854775808.9f2c41aa:1"),
                              Bytes("3.9f2c41aa:18446744073709551617"),
                              Bytes("3.9f2c41aa:99999999999999999999"),
                              Bytes("3:9f2c41aa.1"),
                              Bytes("3.9f2c41aa:1\0", 14),
                              Bytes("3.9f2c41ag:1"),
                              Bytes(".9f2c41aa:1"),
                              Bytes("x.9f2c41aa:1")})
        EXPECT_FALSE(parse_position(wrong, parts)) << wrong;
}

TEST(WireHello, ComesBackAsItWasWritten) {
    // Rule: a HELLO is read as it was written, with and without a position, and not when it is cut off.
    Hello hello;
    hello.lowest_version = 1;
    hello.highest_version = 3;
    hello.stream_id = "0123456789abcdef";
    hello.position = "3.9f2c41aa:184467";
    hello.window = kDefaultWindow;
    hello.software = "test/1";
    const std::string bytes = written([&](Packer& packer) { write_hello(packer, hello); });
    Hello read;
    ASSERT_TRUE(read_hello(Bytes(bytes), read));
    EXPECT_EQ(read.highest_version, 3U);
    EXPECT_EQ(read.stream_id, hello.stream_id);
    EXPECT_EQ(read.position, hello.position);
    EXPECT_EQ(read.window, hello.window);
    EXPECT_EQ(read.software, hello.software);
    for (size_t length = 0; length < bytes.size(); ++length) {
        const std::string cut = bytes.substr(0, length);
        EXPECT_FALSE(read_hello(Bytes(cut), read)) << length;
    }
    EXPECT_FALSE(read_hello(Bytes(bytes + "\xc0"), read));
    hello.stream_id = hello.position = Bytes();
    const std::string fresh = written([&](Packer& packer) { write_hello(packer, hello); });
    ASSERT_TRUE(read_hello(Bytes(fresh), read));
    EXPECT_TRUE(read.stream_id.empty());
    EXPECT_TRUE(read.position.empty());
}

TEST(WireHello, IgnoresKeysItDoesNotKnow) {
    // Rule: unknown keys are ignored, whatever stands behind them.
    Hello hello;
    EXPECT_TRUE(read_hello(
        Bytes("\x83\x01\x01\x63\x92\x81\xa1x\xc0\xcb\x00\x00\x00\x00\x00\x00\x00\x00\x64\xd6\xff\x00\x00\x00\x00"s),
        hello));
    EXPECT_EQ(hello.lowest_version, 1U);
    EXPECT_TRUE(read_hello(Bytes("\x80"), hello));
    EXPECT_TRUE(read_hello(Bytes("\x81\xfb\xa1x"), hello)) << "a negative key";
    EXPECT_FALSE(read_hello(Bytes("\x81\xa1x\x01"), hello));
    EXPECT_FALSE(read_hello(Bytes("\x81\x01\xff"), hello));
    EXPECT_FALSE(read_hello(Bytes("\x81\x03\xc4\x01x"), hello));
    EXPECT_FALSE(read_hello(Bytes("\x90"), hello));
}

// An empty position is refused: it would be taken for none given.
TEST(WireHello, RefusesAnEmptyPosition) {
    Hello hello;
    using namespace std::string_literals;
    EXPECT_FALSE(read_hello(Bytes("\x81\x04\xa0"s), hello));
    EXPECT_TRUE(read_hello(Bytes("\x81\x04\xc0"s), hello));
}

TEST(WireWelcome, ComesBackAsItWasWritten) {
    // Rule: a WELCOME is read as it was written, and refused without a stream id or when it is cut off.
    Welcome welcome;
    welcome.version = 1;
    welcome.stream_id = "0123456789abcdef";
    welcome.epoch = 3;
    welcome.nonce = "9f2c41aa";
    welcome.subscriber = "mirror";
    welcome.start = "3.9f2c41aa:5";
    const auto channels = [](Packer& packer) {
        packer.pack_array(1);
        packer.pack_str(7);
        packer.pack_str_body("default", 7);
    };
    const std::string bytes = written([&](Packer& packer) { write_welcome(packer, welcome, channels); });
    Welcome read;
    ASSERT_TRUE(read_welcome(Bytes(bytes), read));
    EXPECT_EQ(read.epoch, 3U);
    EXPECT_EQ(read.nonce, welcome.nonce);
    EXPECT_EQ(read.channels, Bytes("\x91\xa7"
                                   "default"));
    EXPECT_EQ(read.subscriber, "mirror");
    EXPECT_EQ(read.start, welcome.start);
    for (size_t length = 0; length < bytes.size(); ++length) {
        const std::string cut = bytes.substr(0, length);
        EXPECT_FALSE(read_welcome(Bytes(cut), read)) << length;
    }
    EXPECT_FALSE(read_welcome(Bytes("\x81\x01\x01"), read));
}

TEST(WireError, ComesBackAsItWasWritten) {
    // Rule: texts of an error may be empty or missing.
    const std::string bytes = written([](Packer& packer) {
        write_error(packer, ErrorText{"not here", "It went.", ""});
    });
    ErrorText read;
    ASSERT_TRUE(read_error(Bytes(bytes), read));
    EXPECT_EQ(read.message, "not here");
    EXPECT_EQ(read.detail, "It went.");
    EXPECT_TRUE(read.hint.empty());
    EXPECT_TRUE(read_error(Bytes("\x80"), read));
    EXPECT_TRUE(read.message.empty());
    EXPECT_FALSE(read_error(Bytes("\x81\x01\x05"), read));
}

TEST(WireShape, RefusesAFormItDoesNotKnow) {
    // Rule: a reader that meets a form it does not know stops.
    Column column;
    const std::string good = "\x93\xa1n\xa1t\x07";
    Reader reader{Bytes(good)};
    ASSERT_TRUE(read_column(reader, column));
    EXPECT_EQ(column.form, Form::kJson);
    EXPECT_EQ(column.number, 0);
    for (const std::string& bad : {"\x93\xa1n\xa1t\x0c"s, "\x93\xa1n\xa1t\x0f"s, "\x93\xa1n\xa1t\x1c"s,
                                   "\x93\xa1n\xa1t\x20"s, "\x93\xa1n\xa1t\xcd\x01\x02"s}) {
        Reader unknown{Bytes(bad)};
        EXPECT_FALSE(read_column(unknown, column));
    }
    const std::string lie =
        "\x95\xa1s\xa1t\xa1"
        "c\xdd\xff\xff\xff\xff\x90"s;
    Reader lying{Bytes(lie)};
    ShapeHead head;
    EXPECT_FALSE(read_shape_head(lying, head));
}

TEST(WireShape, AColumnMayHaveANumber) {
    // Rule: three fields or four; a number is from 1 to 32767.
    Column column;
    const std::string good = "\x94\xa1n\xa6text[]\x10\xcd\x7f\xff";
    Reader reader{Bytes(good)};
    ASSERT_TRUE(read_column(reader, column));
    EXPECT_EQ(column.form, array_of(Form::kText));
    EXPECT_EQ(column.number, 32767);
    EXPECT_TRUE(reader.at_end());
    for (const std::string& bad :
         {"\x94\xa1n\xa1t\x07\x00"s, "\x94\xa1n\xa1t\x07\xff"s, "\x94\xa1n\xa1t\x07\xcd\x80\x00"s,
          "\x94\xa1n\xa1t\x07\xc0"s, "\x94\xa1n\xa1t\x07"s, "\x95\xa1n\xa1t\x07\x01\x01"s, "\x92\xa1n\xa1t"s}) {
        Reader unknown{Bytes(bad)};
        EXPECT_FALSE(read_column(unknown, column));
    }
}

}  // namespace
}  // namespace paysync::wire

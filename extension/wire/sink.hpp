// Writing into a sink, which is anything with append(const char*, size_t): text, decimal and hexadecimal numbers.
#pragma once

#include "wire/reader.hpp"

namespace paysync::wire::detail {

template <typename Sink>
void put(Sink& sink, Bytes text) {
    sink.append(text.data(), text.size());
}

// Writes `value` in decimal, padded with zeros to at least `width` digits.
template <typename Sink>
void put_decimal(Sink& sink, uint64_t value, int width = 1) {
    char digits[20];
    int at = 20;
    do {
        digits[--at] = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (20 - at < width) digits[--at] = '0';
    sink.append(digits + at, static_cast<size_t>(20 - at));
}

template <typename Sink>
void put_signed(Sink& sink, int64_t value) {
    if (value < 0) put(sink, "-");
    put_decimal(sink, value < 0 ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value));
}

template <typename Sink>
void put_hex(Sink& sink, Bytes bytes) {
    static constexpr char kHex[] = "0123456789abcdef";
    for (const char byte : bytes) {
        const char pair[2] = {kHex[static_cast<uint8_t>(byte) >> 4], kHex[byte & 15]};
        sink.append(pair, 2);
    }
}

}  // namespace paysync::wire::detail

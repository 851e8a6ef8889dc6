// Numbers most significant byte first, as they stand in frames, digests and msgpack.
#pragma once

#include <cstdint>
#include <cstring>

namespace paysync::wire {

namespace detail {

inline uint8_t swapped(uint8_t value) { return value; }
inline uint16_t swapped(uint16_t value) { return __builtin_bswap16(value); }
inline uint32_t swapped(uint32_t value) { return __builtin_bswap32(value); }
inline uint64_t swapped(uint64_t value) { return __builtin_bswap64(value); }

template <typename Unsigned>
Unsigned to_or_from_big_endian(Unsigned value) {
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? value : swapped(value);
}

}  // namespace detail

// Reads an unsigned integer of any width from unaligned bytes.
template <typename Unsigned>
Unsigned get_big_endian(const char* in) {
    Unsigned value = 0;
    std::memcpy(&value, in, sizeof value);
    return detail::to_or_from_big_endian(value);
}

template <typename Unsigned>
void put_big_endian(char* out, Unsigned value) {
    value = detail::to_or_from_big_endian(value);
    std::memcpy(out, &value, sizeof value);
}

}  // namespace paysync::wire

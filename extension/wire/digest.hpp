// The digest of changes: 128-bit XXH3, summed modulo 2^128, so that it does not depend on how changes were cut apart.
#pragma once

#include <cstdint>
#include <cstring>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include "wire/reader.hpp"

namespace paysync::wire {

inline constexpr size_t kDigestBytes = 16;

// A number modulo 2^128.
struct Digest {
    uint64_t high = 0;
    uint64_t low = 0;

    Digest& operator+=(const Digest& other) {
        const uint64_t sum = low + other.low;
        high += other.high + (sum < low ? 1 : 0);
        low = sum;
        return *this;
    }
    friend bool operator==(const Digest& a, const Digest& b) { return a.high == b.high && a.low == b.low; }
    friend bool operator!=(const Digest& a, const Digest& b) { return !(a == b); }
};

// Writes `value` most significant byte first into eight bytes.
inline void put_u64(char* out, uint64_t value) { put_big_endian(out, value); }

// Reads eight bytes, most significant first.
inline uint64_t get_u64(const char* in) { return get_big_endian<uint64_t>(in); }

// The digest of one change (its whole msgpack array).
inline Digest digest_of(Bytes bytes) {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    return Digest{hash.high64, hash.low64};
}

// What a tick sums up: a transaction's digest bound to the number it got, so that a moved transaction shows too.
inline Digest numbered_digest(uint64_t number, const Digest& transaction) {
    char bytes[24];
    put_u64(bytes, number);
    put_u64(bytes + 8, transaction.high);
    put_u64(bytes + 16, transaction.low);
    return digest_of(Bytes(bytes, sizeof bytes));
}

inline void put_digest(char* out, const Digest& digest) {
    put_u64(out, digest.high);
    put_u64(out + 8, digest.low);
}

// Reads a digest from a msgpack bin of 16 bytes.
[[nodiscard]] inline bool read_digest(Reader& reader, Digest& digest) {
    Reader ahead = reader;
    Bytes bytes;
    if (!ahead.read_bin(bytes) || bytes.size() != kDigestBytes) return false;
    digest = Digest{get_u64(bytes.data()), get_u64(bytes.data() + 8)};
    reader = ahead;
    return true;
}

}  // namespace paysync::wire

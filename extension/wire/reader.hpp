// A bounds-checked cursor over msgpack bytes: never allocates, never reads past the end, never believes a length.
// Shared by the server (where msgpack-c's own parser cannot be compiled without exceptions), the relay and the clients.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "wire/big_endian.hpp"

namespace paysync::wire {

using Bytes = std::string_view;

// Nothing of ours nests deeper; what does is an attack on readers that recurse.
inline constexpr size_t kDeepest = 16;

// What stands next in the input.
enum class Type : uint8_t { kNil, kBool, kInt, kFloat, kStr, kBin, kArray, kMap, kExt, kEnd, kBad };

namespace detail {

// By tag: bytes of a value that holds no others and tells its length by its tag alone; 0 for all else.
struct ScalarBytes {
    uint8_t of[256] = {};

    constexpr ScalarBytes() {
        for (unsigned tag = 0; tag < 256; ++tag) of[tag] = tag <= 0x7f || tag >= 0xe0 ? 1 : 0;
        for (unsigned tag = 0xa0; tag <= 0xbf; ++tag) of[tag] = static_cast<uint8_t>(1 + (tag & 0x1f));
        of[0xc0] = of[0xc2] = of[0xc3] = 1;
        of[0xca] = 5;
        of[0xcb] = 9;
        for (unsigned power = 0; power < 4; ++power) {
            of[0xcc + power] = of[0xd0 + power] = static_cast<uint8_t>(1 + (1U << power));
        }
        // Extensions have a byte more, which says what they are.
        for (unsigned power = 0; power < 5; ++power) of[0xd4 + power] = static_cast<uint8_t>(2 + (1U << power));
    }
};
inline constexpr ScalarBytes kScalarBytes;

}  // namespace detail

// Reads one value at a time. Every read_… returns false, and leaves the cursor where it was, if the next value is not
// of that type or is cut off.
class Reader {
public:
    explicit Reader(Bytes bytes) : begin_(bytes.data()), at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    [[nodiscard]] bool at_end() const { return at_ == end_; }
    [[nodiscard]] size_t offset() const { return static_cast<size_t>(at_ - begin_); }
    [[nodiscard]] size_t remaining() const { return static_cast<size_t>(end_ - at_); }
    // All that has not been read yet.
    [[nodiscard]] Bytes rest() const { return Bytes(at_, remaining()); }
    // The input from `offset` (an earlier offset()) up to here.
    [[nodiscard]] Bytes since(size_t offset) const { return Bytes(begin_ + offset, this->offset() - offset); }

    [[nodiscard]] Type peek() const {
        if (at_ == end_) return Type::kEnd;
        const uint8_t tag = static_cast<uint8_t>(*at_);
        if (tag <= 0x7f || tag >= 0xe0) return Type::kInt;
        if (tag <= 0x8f) return Type::kMap;
        if (tag <= 0x9f) return Type::kArray;
        if (tag <= 0xbf) return Type::kStr;
        switch (tag) {
            case 0xc0:
                return Type::kNil;
            case 0xc2:
            case 0xc3:
                return Type::kBool;
            case 0xc4:
            case 0xc5:
            case 0xc6:
                return Type::kBin;
            case 0xc7:
            case 0xc8:
            case 0xc9:
                return Type::kExt;
            case 0xca:
            case 0xcb:
                return Type::kFloat;
            case 0xcc:
            case 0xcd:
            case 0xce:
            case 0xcf:
            case 0xd0:
            case 0xd1:
            case 0xd2:
            case 0xd3:
                return Type::kInt;
            case 0xd4:
            case 0xd5:
            case 0xd6:
            case 0xd7:
            case 0xd8:
                return Type::kExt;
            case 0xd9:
            case 0xda:
            case 0xdb:
                return Type::kStr;
            case 0xdc:
            case 0xdd:
                return Type::kArray;
            case 0xde:
            case 0xdf:
                return Type::kMap;
            default:
                return Type::kBad;
        }
    }

    // Consumes a nil if one stands next.
    [[nodiscard]] bool read_nil() {
        if (at_ == end_ || static_cast<uint8_t>(*at_) != 0xc0) return false;
        at_ += 1;
        return true;
    }

    [[nodiscard]] bool read_bool(bool& value) {
        if (peek() != Type::kBool) return false;
        value = static_cast<uint8_t>(*at_) == 0xc3;
        at_ += 1;
        return true;
    }

    // A signed 64-bit integer in any width; an unsigned one above 2^63-1 is refused.
    [[nodiscard]] bool read_int(int64_t& value) {
        uint64_t raw = 0;
        bool negative = false;
        size_t width = 0;
        if (!decode_int(raw, negative, width)) return false;
        if (!negative && raw > static_cast<uint64_t>(INT64_MAX)) return false;
        value = static_cast<int64_t>(raw);
        at_ += width;
        return true;
    }

    // An integer that is not negative, up to 2^64-1.
    [[nodiscard]] bool read_uint(uint64_t& value) {
        bool negative = false;
        size_t width = 0;
        uint64_t raw = 0;
        if (!decode_int(raw, negative, width) || negative) return false;
        value = raw;
        at_ += width;
        return true;
    }

    // A float of exactly 32 bits; a wider one would be another number.
    [[nodiscard]] bool read_float32(float& value) {
        uint64_t bits = 0;
        if (!read_float(0xca, sizeof value, bits)) return false;
        const uint32_t narrow = static_cast<uint32_t>(bits);
        std::memcpy(&value, &narrow, sizeof value);
        return true;
    }

    // A float of exactly 64 bits.
    [[nodiscard]] bool read_float64(double& value) {
        uint64_t bits = 0;
        if (!read_float(0xcb, sizeof value, bits)) return false;
        std::memcpy(&value, &bits, sizeof value);
        return true;
    }

    [[nodiscard]] bool read_str(Bytes& value) { return read_sized(Type::kStr, value); }
    [[nodiscard]] bool read_bin(Bytes& value) { return read_sized(Type::kBin, value); }

    // The number of elements that follow. It is refused where the rest of the input could not hold them (one byte
    // each).
    [[nodiscard]] bool read_array(uint32_t& count) { return read_count(0x90, 0xdc, 1, count); }
    // The number of pairs that follow.
    [[nodiscard]] bool read_map(uint32_t& count) { return read_count(0x80, 0xde, 2, count); }

    // Passes over one whole value with all it holds; false where it is cut off, malformed or nests deeper than
    // kDeepest.
    [[nodiscard]] bool skip() {
        const char* const start = at_;
        uint64_t left[kDeepest + 1] = {1};  // values still to pass, by depth
        size_t depth = 0;
        for (;;) {
            while (left[depth] == 0) {
                if (depth == 0) return true;
                depth -= 1;
            }
            left[depth] -= 1;
            if (at_ == end_) return back(start);
            if (const size_t width = detail::kScalarBytes.of[static_cast<uint8_t>(*at_)]; width > 0) {
                if (remaining() < width) return back(start);
                at_ += width;
                continue;
            }
            const Type type = peek();
            uint32_t count = 0;
            const bool ok = type == Type::kArray ? read_array(count)
                            : type == Type::kMap ? read_map(count)
                                                 : skip_sized();
            if (!ok || (count > 0 && depth == kDeepest)) return back(start);
            if (count == 0) continue;
            depth += 1;
            left[depth] = type == Type::kMap ? uint64_t{2} * count : count;
        }
    }

private:
    bool back(const char* start) {
        at_ = start;
        return false;
    }

    // `width`: 1, 2, 4 or 8.
    [[nodiscard]] uint64_t big_endian(size_t skip, size_t width) const {
        switch (width) {
            case 1:
                return static_cast<uint8_t>(at_[skip]);
            case 2:
                return get_big_endian<uint16_t>(at_ + skip);
            case 4:
                return get_big_endian<uint32_t>(at_ + skip);
            default:
                return get_big_endian<uint64_t>(at_ + skip);
        }
    }

    bool decode_int(uint64_t& raw, bool& negative, size_t& total) const {
        if (at_ == end_) return false;
        const uint8_t tag = static_cast<uint8_t>(*at_);
        negative = false;
        total = 1;
        if (tag <= 0x7f) {
            raw = tag;
            return true;
        }
        if (tag >= 0xe0) {
            raw = static_cast<uint64_t>(static_cast<int64_t>(static_cast<int8_t>(tag)));
            negative = true;
            return true;
        }
        if (tag < 0xcc || tag > 0xd3) return false;
        const bool is_signed = tag >= 0xd0;
        const size_t width = size_t{1} << (is_signed ? tag - 0xd0 : tag - 0xcc);
        if (remaining() < 1 + width) return false;
        raw = big_endian(1, width);
        total = 1 + width;
        if (is_signed) {
            const unsigned unused = 64 - 8 * static_cast<unsigned>(width);
            const int64_t value = static_cast<int64_t>(raw << unused) >> unused;
            raw = static_cast<uint64_t>(value);
            negative = value < 0;
        }
        return true;
    }

    bool read_float(uint8_t tag, size_t width, uint64_t& bits) {
        if (at_ == end_ || static_cast<uint8_t>(*at_) != tag || remaining() < 1 + width) return false;
        bits = big_endian(1, width);
        at_ += 1 + width;
        return true;
    }

    bool read_sized(Type type, Bytes& value) {
        if (at_ == end_) return false;
        const uint8_t tag = static_cast<uint8_t>(*at_);
        const uint8_t first = type == Type::kStr ? 0xd9 : 0xc4;  // of the three with a length behind them
        size_t width = 0;
        uint64_t length = 0;
        if (type == Type::kStr && tag >= 0xa0 && tag <= 0xbf) {
            length = tag & 0x1fU;
        } else {
            if (tag < first || tag > first + 2) return false;
            width = size_t{1} << (tag - first);
            if (remaining() < 1 + width) return false;
            length = big_endian(1, width);
        }
        if (length > remaining() - 1 - width) return false;
        value = Bytes(at_ + 1 + width, length);
        at_ += 1 + width + length;
        return true;
    }

    bool read_count(uint8_t fix, uint8_t wide, size_t least, uint32_t& count) {
        if (at_ == end_) return false;
        const uint8_t tag = static_cast<uint8_t>(*at_);
        size_t width = 0;
        uint64_t number = 0;
        if (tag >= fix && tag <= fix + 0x0f) {
            number = tag - fix;
        } else {
            if (tag != wide && tag != wide + 1) return false;
            width = tag == wide ? 2 : 4;
            if (remaining() < 1 + width) return false;
            number = big_endian(1, width);
        }
        if (number * least > remaining() - 1 - width) return false;
        count = static_cast<uint32_t>(number);
        at_ += 1 + width;
        return true;
    }

    // What has its length behind its tag.
    bool skip_sized() {
        Bytes ignored;
        switch (peek()) {
            case Type::kStr:
                return read_str(ignored);
            case Type::kBin:
                return read_bin(ignored);
            case Type::kExt:
                return skip_ext();
            default:
                return false;
        }
    }

    // Extension types are in no message of ours, but may stand where unknown fields are ignored.
    bool skip_ext() {
        const size_t width = size_t{1} << (static_cast<uint8_t>(*at_) - 0xc7);
        if (remaining() < 1 + width) return false;
        const uint64_t length = big_endian(1, width);
        // A byte behind the length says which extension it is.
        if (length + 1 > remaining() - 1 - width) return false;
        at_ += 2 + width + length;
        return true;
    }

    const char* begin_;
    const char* at_;
    const char* end_;
};

}  // namespace paysync::wire

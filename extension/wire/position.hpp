// A position, EPOCH.NONCE:NUMBER (docs/wire.md §1).
#pragma once

#include "wire/reader.hpp"

namespace paysync::wire {

struct PositionParts {
    uint64_t epoch = 0;
    Bytes nonce;  // eight lower-case hex digits
    uint64_t number = 0;
};

namespace detail {

// Decimal digits up to `stop` (or the end where stop is 0): no sign, no leading zero, at most 2^63-1.
inline bool take_number(Bytes& text, char stop, uint64_t& value) {
    size_t used = 0;
    value = 0;
    while (used < text.size() && text[used] >= '0' && text[used] <= '9') {
        if (used == 19) return false;
        value = value * 10 + static_cast<uint64_t>(text[used] - '0');
        used += 1;
    }
    if (used == 0 || (used > 1 && text[0] == '0') || value > static_cast<uint64_t>(INT64_MAX)) return false;
    if (stop == 0) return used == text.size();
    if (used == text.size() || text[used] != stop) return false;
    text.remove_prefix(used + 1);
    return true;
}

}  // namespace detail

// False if `text` is no position; `parts.nonce` is a view into `text`.
[[nodiscard]] inline bool parse_position(Bytes text, PositionParts& parts) {
    if (!detail::take_number(text, '.', parts.epoch) || text.size() < 10 || text[8] != ':') return false;
    for (size_t i = 0; i < 8; ++i) {
        const char c = text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
    }
    parts.nonce = Bytes(text.data(), 8);
    text.remove_prefix(9);
    return parts.epoch > 0 && detail::take_number(text, 0, parts.number);
}

}  // namespace paysync::wire

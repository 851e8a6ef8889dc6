// How this side prints floats as JSON (wire/json.hpp).
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>

#include "wire/json.hpp"

namespace paysync {

// The shortest text that reads back exactly. Numbers of a moderate size are written out, as PostgreSQL has it: 100000,
// not 1e+05.
struct ShortestFloats {
    static size_t write(char* out, float number) { return shortest(out, number, 1e6F); }
    static size_t write(char* out, double number) { return shortest(out, number, 1e15); }

private:
    template <typename Number>
    static size_t shortest(char* out, Number number, Number large) {
        const Number size = std::fabs(number);
        const bool moderate = size == 0 || (size >= static_cast<Number>(1e-4) && size < large);
        const auto format = moderate ? std::chars_format::fixed : std::chars_format::scientific;
        return static_cast<size_t>(std::to_chars(out, out + wire::kFloatText, number, format).ptr - out);
    }
};

}  // namespace paysync

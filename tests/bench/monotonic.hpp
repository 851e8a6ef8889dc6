// The clock that all programs of a benchmark share: CLOCK_MONOTONIC, which Python's time.monotonic() reads too.
#pragma once

#include <chrono>
#include <cstdint>

namespace bench {

// Nanoseconds.
inline int64_t monotonic() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace bench

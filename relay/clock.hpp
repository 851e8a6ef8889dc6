// Time as the relay uses it: monotonic only; a wall clock that jumps changes nothing.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace paysync::relay {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Duration = Clock::duration;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Waiting times between attempts: 0.1 s, doubled up to 5 s, each shortened at random by up to a half, so that many
// relays that lost one database do not come back in step.
class Backoff {
public:
    // The time to wait before the next attempt.
    milliseconds next() {
        const int64_t base = std::min<int64_t>(kLongest, int64_t{kShortest} << std::min(attempts_, 10));
        attempts_ += 1;
        return milliseconds(std::uniform_int_distribution<int64_t>(base / 2, base)(random_));
    }
    void reset() { attempts_ = 0; }

private:
    static constexpr int64_t kShortest = 100;
    static constexpr int64_t kLongest = 5000;
    int attempts_ = 0;
    std::minstd_rand random_{std::random_device{}()};
};

}  // namespace paysync::relay

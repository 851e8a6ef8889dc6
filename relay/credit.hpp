// How many bytes a subscriber has room for (docs/wire.md §9.2). All numbers count the F1 bytes of one session.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

namespace paysync::relay {

class Credit {
public:
    explicit Credit(uint64_t window) : window_(window), limit_(window) {}

    // A grant that goes back is ignored, and one beyond what the window allows is cut to it: consumed is never more
    // than sent.
    void grant(uint64_t limit) {
        limit_ = std::max(limit_, std::min(limit, sent_ + window_));
        while (!in_flight_.empty() && in_flight_.front() <= consumed()) in_flight_.pop_front();
    }
    // Whether a message of `length` bytes may go now: within the limit, or alone if nothing is on the way.
    [[nodiscard]] bool allows(uint64_t length) const {
        if (in_flight_.size() >= kMaxInFlight) return false;
        return sent_ + length <= limit_ || sent_ <= consumed();
    }
    void spend(uint64_t length) {
        sent_ += length;
        in_flight_.push_back(sent_);
    }
    [[nodiscard]] uint64_t sent() const { return sent_; }
    [[nodiscard]] uint64_t window() const { return window_; }

private:
    // Far below the queues of libzmq: a subscriber that takes small messages slowly must not fill them, or its
    // heartbeats wait behind them and it is taken for dead.
    static constexpr size_t kMaxInFlight = 1024;

    [[nodiscard]] uint64_t consumed() const { return limit_ - window_; }

    uint64_t window_;
    uint64_t limit_;
    uint64_t sent_ = 0;
    std::deque<uint64_t> in_flight_;  // sums of bytes at the end of each message that was not consumed yet
};

}  // namespace paysync::relay

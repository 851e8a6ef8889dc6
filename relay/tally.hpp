// Counts and digests of changes as found, to be compared with what the closing record says.
#pragma once

#include <algorithm>

#include "transaction.hpp"

namespace paysync::relay {

class Tally {
public:
    // `transaction` must outlive it.
    explicit Tally(const Transaction& transaction)
        : transaction_(transaction), shares_(is_divided() ? transaction.channels.size() : 0) {}

    // False where no such channel was recorded.
    [[nodiscard]] bool add(wire::Bytes channel, const wire::Digest& digest) {
        // Changes of one table come in a row, so the last channel is nearly always the right one.
        const auto& all = transaction_.channels;
        if (last_ >= all.size() || all[last_].name != channel) {
            last_ = static_cast<size_t>(
                std::find_if(all.begin(), all.end(),
                             [channel](const ChannelShare& share) { return share.name == channel; }) -
                all.begin());
            if (last_ == all.size()) return false;
        }
        if (is_divided()) {
            shares_[last_].count += 1;
            shares_[last_].digest += digest;
        }
        total_ += digest;
        count_ += 1;
        return true;
    }

    // Whether what was added is all that was recorded, in sum (`digest`) and channel by channel.
    [[nodiscard]] bool agrees(const wire::Digest& digest) const {
        if (count_ != transaction_.changes || total_ != digest) return false;
        for (size_t i = 0; i < transaction_.channels.size(); ++i) {
            const ChannelShare& recorded = transaction_.channels[i];
            const Found found = is_divided() ? shares_[i] : Found{count_, total_};
            if (found.count != recorded.count || found.digest != recorded.digest) return false;
        }
        return true;
    }

private:
    struct Found {
        uint64_t count = 0;
        wire::Digest digest;
    };
    // Of one channel the sums are those of all.
    [[nodiscard]] bool is_divided() const { return transaction_.channels.size() > 1; }

    const Transaction& transaction_;
    std::vector<Found> shares_;  // by channel, where there are several
    size_t last_ = SIZE_MAX;
    uint64_t count_ = 0;
    wire::Digest total_;
};

}  // namespace paysync::relay

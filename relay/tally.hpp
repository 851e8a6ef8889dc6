// Counts and digests of changes as found, to be compared with what the closing record says.
#pragma once

#include <algorithm>

#include "transaction.hpp"

namespace paysync::relay {

class Tally {
public:
    // `transaction` must outlive it.
    explicit Tally(const Transaction& transaction) : transaction_(transaction), shares_(transaction.channels.size()) {}

    // False where no such channel was recorded.
    [[nodiscard]] bool add(wire::Bytes channel, const wire::Digest& digest) {
        // Changes of one table come in a row, so the last channel is nearly always the right one.
        const auto& all = transaction_.channels;
        if (last_ >= shares_.size() || all[last_].name != channel) {
            last_ = static_cast<size_t>(
                std::find_if(all.begin(), all.end(),
                             [channel](const ChannelShare& share) { return share.name == channel; }) -
                all.begin());
            if (last_ == all.size()) return false;
        }
        shares_[last_].count += 1;
        shares_[last_].digest += digest;
        total_ += digest;
        count_ += 1;
        return true;
    }

    // Whether what was added is all that was recorded, in sum (`digest`) and channel by channel.
    [[nodiscard]] bool agrees(const wire::Digest& digest) const {
        if (count_ != transaction_.changes || total_ != digest) return false;
        for (size_t i = 0; i < shares_.size(); ++i) {
            const ChannelShare& recorded = transaction_.channels[i];
            if (shares_[i].count != recorded.count || shares_[i].digest != recorded.digest) return false;
        }
        return true;
    }

private:
    const Transaction& transaction_;
    std::vector<ChannelShare> shares_;
    size_t last_ = SIZE_MAX;
    uint64_t count_ = 0;
    wire::Digest total_;
};

}  // namespace paysync::relay

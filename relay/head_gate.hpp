// Which number may be sent: a tick whose COMMIT came with a warning is not known to be durable on the standbys that the
// server was told to wait for, so nothing after it leaves until a later write has committed clean.
#pragma once

#include <cstdint>

namespace paysync::relay {

class HeadGate {
public:
    // A new epoch's row was committed; `head` is the last number before it.
    void lead(uint64_t head, bool warned) {
        seen_ = head;
        unclean_ = warned;
        // Of what an earlier leader left, nothing is known to be durable either.
        published_ = warned ? 0 : head;
    }
    // A tick call came back. A call that found nothing wrote nothing, so it proves nothing.
    void tick(uint64_t head, bool warned) {
        const bool wrote = head > seen_;
        seen_ = head;
        if (warned) {
            unclean_ = true;
        } else if (wrote) {
            unclean_ = false;
        }
        if (!unclean_) published_ = head;
    }

    [[nodiscard]] uint64_t seen() const { return seen_; }
    [[nodiscard]] uint64_t published() const { return published_; }
    [[nodiscard]] bool unclean() const { return unclean_; }

private:
    uint64_t seen_ = 0;
    uint64_t published_ = 0;
    bool unclean_ = false;
};

}  // namespace paysync::relay

// The stream as this relay leads it, and whether it can serve it now.
#pragma once

#include <cstdint>
#include <string>

namespace paysync::relay {

struct Stream {
    std::string stream_id;  // 16 bytes; empty before the first lead
    uint64_t epoch = 0;
    std::string nonce;
    uint64_t head = 0;     // the last number that may be sent
    bool serving = false;  // HELLOs can be answered: the lease is held, the database is there, the history is the same
    bool ever_served = false;

    // The position of `number` in the current epoch, which goes on with all that was before it.
    [[nodiscard]] std::string position(uint64_t number) const {
        return std::to_string(epoch) + "." + nonce + ":" + std::to_string(number);
    }
};

}  // namespace paysync::relay

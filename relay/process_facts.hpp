// What the kernel knows of this process, for the metrics every Prometheus client has.
#pragma once

#include <cstdint>

namespace paysync::relay {

struct ProcessFacts {
    double cpu_seconds = 0;
    uint64_t resident_bytes = 0;
    uint64_t virtual_bytes = 0;
    uint64_t open_descriptors = 0;
    uint64_t most_descriptors = 0;
    double started = 0;  // Unix time
};

// From /proc; what cannot be read is 0.
[[nodiscard]] ProcessFacts read_process_facts();

}  // namespace paysync::relay

// A cut of the stream: which transactions a snapshot sees, as the tick before left it (design: ticks; docs/outbox.md
// §2).
#pragma once

#include "postgres.hpp"

namespace paysync {

// A snapshot's bounds, 64-bit: everything below xmax is visible unless it is in xip; nothing from xmax on is.
struct Cut {
    uint64 xmax;
    int running;
    uint64* xip;
};

// Reads a pg_snapshot datum; memory in the current context.
Cut cut_of_snapshot(Datum snapshot);

}  // namespace paysync

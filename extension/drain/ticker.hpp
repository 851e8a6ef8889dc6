// Cutting ticks: what became visible since the last one is ordered, numbered and written down, in one transaction.
#pragma once

#include "postgres.hpp"

namespace paysync {

// How a look at the outbox went.
struct TickResult {
    int64 head;          // the last number there is now
    int64 transactions;  // how many of them are new
};

// Looks once, in the running transaction: takes a snapshot, and writes ticks for all that it sees and the last tick did
// not. The caller commits; before that nothing of it may be told to anybody. `known`: where the head stood once. Error
// 40001 if `epoch` leads no more.
TickResult cut_ticks(int64 epoch, int64 known);

}  // namespace paysync

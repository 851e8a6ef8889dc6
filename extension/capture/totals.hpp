// Counts and digests of what a transaction captured, kept per nesting level so that a rolled-back savepoint takes its
// share away with it.
#pragma once

#include "postgres.hpp"

#include "wire/digest.hpp"

namespace paysync {

// What was captured under one shape (events: shape 0, told apart by channel).
struct ShapeTotal {
    int64 shape;
    const char* channel;  // interned: equal names are equal pointers
    uint64 changes;
    wire::Digest digest;
};

// One open nesting level in which something was captured.
struct LevelTotals {
    int level;
    int32 rows_written;  // chunks already in the outbox
    uint64 bytes;        // of changes, written or not
    ShapeTotal* shapes;
    int shape_count;
    int shape_capacity;
};

// The one copy of a channel's name in this session.
const char* intern_channel(const char* name);

// The entry for (shape, channel) at `level`, made in `context` if it is new.
ShapeTotal& total_of(LevelTotals& level, int64 shape, const char* channel, MemoryContext context);

// Makes room for adding `child` to `parent` without allocating.
void reserve_totals(LevelTotals& parent, const LevelTotals& child, MemoryContext context);

// Adds `child` to `parent`, for which reserve_totals() was called.
void merge_totals(LevelTotals& parent, const LevelTotals& child);

}  // namespace paysync

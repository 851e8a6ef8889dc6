#include "capture/totals.hpp"

namespace paysync {
namespace {

struct Interned {
    Interned* next;
    char name[FLEXIBLE_ARRAY_MEMBER];
};
Interned* interned = nullptr;

ShapeTotal* find_total(const LevelTotals& level, int64 shape, const char* channel) {
    // Backwards: statements come in runs, so the entry wanted is mostly the last one made.
    for (int i = level.shape_count - 1; i >= 0; --i)
        if (level.shapes[i].shape == shape && level.shapes[i].channel == channel) return &level.shapes[i];
    return nullptr;
}

void ensure_capacity(LevelTotals& level, int capacity, MemoryContext context) {
    if (capacity <= level.shape_capacity) return;
    const int wanted = Max(capacity, Max(4, level.shape_capacity * 2));
    const size_t bytes = sizeof(ShapeTotal) * static_cast<size_t>(wanted);
    level.shapes = static_cast<ShapeTotal*>(level.shapes == nullptr ? MemoryContextAlloc(context, bytes)
                                                                    : repalloc(level.shapes, bytes));
    level.shape_capacity = wanted;
}

}  // namespace

const char* intern_channel(const char* name) {
    for (Interned* known = interned; known != nullptr; known = known->next)
        if (strcmp(known->name, name) == 0) return known->name;
    const size_t length = strlen(name) + 1;
    auto* added = static_cast<Interned*>(MemoryContextAlloc(TopMemoryContext, offsetof(Interned, name) + length));
    memcpy(added->name, name, length);
    added->next = interned;
    interned = added;
    return added->name;
}

ShapeTotal& total_of(LevelTotals& level, int64 shape, const char* channel, MemoryContext context) {
    ShapeTotal* found = find_total(level, shape, channel);
    if (found != nullptr) return *found;
    ensure_capacity(level, level.shape_count + 1, context);
    found = &level.shapes[level.shape_count++];
    *found = ShapeTotal{shape, channel, 0, wire::Digest{}};
    return *found;
}

void reserve_totals(LevelTotals& parent, const LevelTotals& child, MemoryContext context) {
    ensure_capacity(parent, parent.shape_count + child.shape_count, context);
}

void merge_totals(LevelTotals& parent, const LevelTotals& child) {
    parent.rows_written += child.rows_written;
    parent.bytes += child.bytes;
    for (int i = 0; i < child.shape_count; ++i) {
        const ShapeTotal& share = child.shapes[i];
        ShapeTotal* total = find_total(parent, share.shape, share.channel);
        if (total == nullptr) {
            parent.shapes[parent.shape_count++] = share;
            continue;
        }
        total->changes += share.changes;
        total->digest += share.digest;
    }
}

}  // namespace paysync

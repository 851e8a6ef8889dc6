#include "capture/gap.hpp"

#include "capture/transaction_buffer.hpp"
#include "wire/change.hpp"

namespace paysync {
namespace {

// Goes up where what was recorded may be gone. What bears another mark counts for nothing.
uint64 current_mark = 1;

// Shapes that bear the mark.
struct Marked {
    uint64 mark;
    int64* shape;
    int count;
    int capacity;
};
Marked marked{};

bool is_marked(int64 shape) {
    if (marked.mark != current_mark) return false;
    for (int i = 0; i < marked.count; ++i)
        if (marked.shape[i] == shape) return true;
    return false;
}

void mark(int64 shape) {
    if (marked.mark != current_mark) marked.count = 0;
    marked.mark = current_mark;
    if (marked.count == marked.capacity) {
        const int capacity = Max(16, marked.capacity * 2);
        const size_t bytes = sizeof(int64) * static_cast<size_t>(capacity);
        marked.shape = static_cast<int64*>(marked.shape == nullptr ? MemoryContextAlloc(TopMemoryContext, bytes)
                                                                   : repalloc(marked.shape, bytes));
        marked.capacity = capacity;
    }
    marked.shape[marked.count++] = shape;
}

}  // namespace

void buffer_gap(int64 shape, const char* channel, CommandId place, const char* reason) {
    ByteBuffer gap{};
    gap.start(CurrentMemoryContext);
    Packer packer(gap);
    packer.pack_array(4);
    packer.pack_uint64(static_cast<uint64>(wire::Operation::kGap));
    packer.pack_int64(shape);
    packer.pack_uint64(place);
    pack_text(packer, to_utf8(reason));
    buffer_change(gap.bytes(), place, shape, channel);
}

bool is_first_uncaptured(CapturedTable& table) {
    if (table.gap_mark == current_mark) return false;
    table.gap_mark = current_mark;
    if (is_marked(table.shape)) return false;
    mark(table.shape);
    return true;
}

void forget_gaps() { current_mark += 1; }

}  // namespace paysync

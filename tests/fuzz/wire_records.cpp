// Any bytes as changes, as a closing record and as a manifest: every view lies inside the input.
#include <cstdlib>
#include <vector>

#include "wire/change.hpp"
#include "wire/closing.hpp"
#include "wire/shape.hpp"

namespace {

using namespace paysync::wire;

void require_inside(Bytes whole, Bytes part) {
    if (part.empty()) return;
    if (part.data() < whole.data() || part.data() + part.size() > whole.data() + whole.size()) std::abort();
}

void read_changes(Bytes bytes) {
    Reader reader(bytes);
    Change change;
    std::vector<Placed> places;
    while (!reader.at_end() && read_change(reader, change)) {
        for (const Bytes part : {change.bytes, change.new_row, change.old_row, change.channel, change.event_type,
                                 change.event_key, change.headers, change.payload, change.reason, change.values})
            require_inside(bytes, part);
        if (change.shape < 0 || change.previous < 0) std::abort();
        places.push_back(Placed{change.command, places.size(), 0, change.bytes.size()});
    }
    order_changes(places.data(), places.size());
    std::vector<bool> seen(places.size());
    for (const Placed& place : places) {
        if (seen.at(place.index)) std::abort();
        seen[place.index] = true;
    }
}

// The columns and key of a description: whatever it says, forms and numbers are of this version.
void read_shape(Bytes bytes) {
    Reader reader(bytes);
    ShapeHead head;
    if (!read_shape_head(reader, head)) return;
    Column column;
    for (uint32_t i = 0; i < head.columns && read_column(reader, column); ++i) {
        require_inside(bytes, column.name);
        require_inside(bytes, column.type);
        if (!is_form(static_cast<uint64_t>(column.form)) || column.number < 0 || column.number > INT16_MAX)
            std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const Bytes bytes(reinterpret_cast<const char*>(data), size);
    read_changes(bytes);
    read_shape(bytes);
    Closing closing;
    if (read_closing(bytes, closing)) {
        for (const Bytes part : {closing.origin, closing.context, closing.channels, closing.shapes, closing.tail})
            require_inside(bytes, part);
        Reader reader(closing.channels);
        uint32_t count = 0;
        ChannelTotal total;
        if (reader.read_array(count))
            while (count-- > 0 && read_channel_total(reader, total)) require_inside(bytes, total.name);
        read_changes(closing.tail);
    }
    if (read_manifest(bytes, closing)) require_inside(bytes, closing.shapes);
    return 0;
}

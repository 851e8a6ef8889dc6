// Any bytes as the parts of a streamed transaction, cut anywhere: the client refuses with its own error, or finds the
// ends of changes where a reader of the whole finds them, and decodes them. The first two bytes say how long SHAPES is,
// the third how long a part is.
#include <cstdlib>

#include "clients/cpp/streamed.hpp"

namespace {

using namespace paysync;

// Changes from the beginning of `bytes`, as far as they can be read.
size_t whole(wire::Bytes bytes) {
    wire::Reader reader(bytes);
    wire::Change change;
    size_t end = 0;
    while (!reader.at_end() && wire::read_change(reader, change)) end = reader.offset();
    return end;
}

// An announcement of more than can come, in the empty channel and in "a".
std::string channels() {
    std::string text = "\x92";
    for (const char* name : {"\xa0", "\xa1\x61"})
        text += std::string("\x93") + name + "\xcd\xff\xff\xc4\x10" + std::string(16, 'x');
    return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 3) return 0;
    const wire::Bytes bytes(reinterpret_cast<const char*>(data) + 3, size - 3);
    const size_t cut = std::min<size_t>(size_t{data[0]} * 256 + data[1], bytes.size());
    const size_t step = size_t{data[2]} + 1;
    Shapes shapes;
    try {
        parse_shapes(bytes.substr(0, cut), shapes);
    } catch (const Error&) {
    }
    const wire::Bytes stream = bytes.substr(cut);
    static const std::string kChannels = channels();
    RawTransaction raw;
    raw.position = Position{1, "9f2c41aa", 1};
    raw.total = 1 << 20;
    raw.bytes = stream.size();
    raw.channels = kChannels;
    const size_t end = whole(stream);
    size_t ended = 0;
    try {
        StreamedCheck check(raw, nullptr);
        for (size_t at = 0; at < stream.size(); at += step) {
            const wire::Bytes piece = stream.substr(at, step);
            const bool unfinished = at + piece.size() != whole(stream.substr(0, at + piece.size()));
            const StreamedPart part = check.add(wire::Part{check.index(), unfinished, piece}, shapes);
            if (part.first_end > part.last_end || part.last_end > piece.size()) std::abort();
            if (part.last_end > 0) ended = at + part.last_end;
        }
        // All of it was taken: both agree on where the last whole change ends.
        if (ended != end) std::abort();
        wire::Reader reader(stream.substr(0, ended));
        std::vector<Change> changes;
        decode_changes(reader, raw.position, shapes, changes);
    } catch (const Error&) {
    }
    return 0;
}

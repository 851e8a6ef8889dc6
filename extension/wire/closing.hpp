// The closing record of a transaction in the outbox: part 0's payload begins with it (docs/outbox.md §1).
#pragma once

#include "wire/digest.hpp"
#include "wire/reader.hpp"

namespace paysync::wire {

inline constexpr uint64_t kOutboxFormat = 1;
inline constexpr uint64_t kFlagReorder = 1;

struct Closing {
    int64_t time = 0;  // microseconds since 2000-01-01 UTC
    bool has_origin = false;
    Bytes origin;
    bool has_context = false;
    Bytes context;
    uint64_t flags = 0;
    uint64_t parts = 0;  // rows besides part 0
    uint64_t bytes = 0;  // length of the stream of changes
    uint64_t changes = 0;
    Digest digest;
    uint64_t manifest_parts = 0;
    Bytes channels;  // msgpack array of [name, count, digest]; empty where the manifest is in parts
    Bytes shapes;    // msgpack array of ids; likewise
    Bytes tail;      // the end of the stream of changes

    [[nodiscard]] bool reorder() const { return (flags & kFlagReorder) != 0; }
};

namespace detail {

inline bool read_optional_str(Reader& reader, bool& has, Bytes& value) {
    has = !reader.read_nil();
    return !has || reader.read_str(value);
}

inline bool read_list(Reader& reader, Bytes& raw) {
    const size_t start = reader.offset();
    if (reader.peek() != Type::kArray || !reader.skip()) return false;
    raw = reader.since(start);
    return true;
}

}  // namespace detail

// Reads [channels, shapes] from the joined manifest parts.
[[nodiscard]] inline bool read_manifest(Bytes bytes, Closing& closing) {
    Reader reader(bytes);
    uint32_t fields = 0;
    return reader.read_array(fields) && fields == 2 && detail::read_list(reader, closing.channels) &&
           detail::read_list(reader, closing.shapes) && reader.at_end();
}

// Reads part 0's payload up to the number of parts, and no further. False if it is not of this format.
[[nodiscard]] inline bool read_closing_head(Reader& reader, Closing& closing) {
    uint32_t fields = 0;
    uint64_t format = 0;
    closing = Closing{};
    return reader.read_array(fields) && fields == 12 && reader.read_uint(format) && format == kOutboxFormat &&
           reader.read_int(closing.time) && detail::read_optional_str(reader, closing.has_origin, closing.origin) &&
           detail::read_optional_str(reader, closing.has_context, closing.context) && reader.read_uint(closing.flags) &&
           reader.read_uint(closing.parts);
}

// Reads part 0's payload. False if it is not of this format.
[[nodiscard]] inline bool read_closing(Bytes payload, Closing& closing) {
    Reader reader(payload);
    if (!read_closing_head(reader, closing) || !reader.read_uint(closing.bytes) || !reader.read_uint(closing.changes) ||
        !read_digest(reader, closing.digest) || !reader.read_uint(closing.manifest_parts))
        return false;
    if (closing.manifest_parts > 0) {
        if (closing.manifest_parts > closing.parts || !reader.read_nil() || !reader.read_nil()) return false;
    } else if (!detail::read_list(reader, closing.channels) || !detail::read_list(reader, closing.shapes)) {
        return false;
    }
    closing.tail = reader.rest();
    return closing.tail.size() <= closing.bytes;
}

}  // namespace paysync::wire

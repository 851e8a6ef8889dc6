// The bodies of BEGIN and PART, in which a transaction comes that is too long for a BATCH (docs/wire.md §8).
// Writers are templates on a msgpack packer, so that a caller brings its own buffer.
#pragma once

#include "wire/frame.hpp"
#include "wire/reader.hpp"
#include "wire/shape.hpp"

namespace paysync::wire {

struct Begin {
    uint64_t prev = 0;    // covers prev + 1 to number
    uint64_t number = 0;  // the only one of them that has a change for the subscriber
    uint64_t epoch = 0;
    Bytes nonce;
    uint64_t xid = 0;
    int64_t time = 0;  // microseconds since 2000-01-01 UTC
    bool has_origin = false;
    Bytes origin;
    bool has_context = false;
    Bytes context;
    uint64_t total = 0;  // changes of all channels
    Bytes channels;      // msgpack array; read_channel_total() takes its elements
    uint64_t bytes = 0;  // length of the changes of all channels: what comes is never longer
};

struct Part {
    uint64_t index = 0;
    bool unfinished = false;  // the last change goes on in the next part
    Bytes data;
};

namespace detail {

inline bool read_text_or_nil(Reader& reader, bool& has, Bytes& text) {
    has = !reader.read_nil();
    return !has || reader.read_str(text);
}

inline bool read_channel_totals(Reader& reader, Bytes& raw) {
    const size_t start = reader.offset();
    uint32_t count = 0;
    ChannelTotal total;
    if (!reader.read_array(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
        if (!read_channel_total(reader, total)) return false;
    }
    raw = reader.since(start);
    return true;
}

template <typename Packer>
void pack_text_or_nil(Packer& packer, bool has, Bytes text) {
    if (!has) {
        packer.pack_nil();
        return;
    }
    packer.pack_str(static_cast<uint32_t>(text.size()));
    packer.pack_str_body(text.data(), static_cast<uint32_t>(text.size()));
}

}  // namespace detail

// False unless it is well-formed, and covers at least its own number.
[[nodiscard]] inline bool read_begin(Bytes bytes, Begin& begin) {
    Reader reader(bytes);
    uint32_t fields = 0;
    begin = Begin{};
    return reader.read_array(fields) && fields == 11 && reader.read_uint(begin.prev) &&
           reader.read_uint(begin.number) && begin.prev < begin.number && reader.read_uint(begin.epoch) &&
           reader.read_str(begin.nonce) && reader.read_uint(begin.xid) && reader.read_int(begin.time) &&
           detail::read_text_or_nil(reader, begin.has_origin, begin.origin) &&
           detail::read_text_or_nil(reader, begin.has_context, begin.context) && reader.read_uint(begin.total) &&
           detail::read_channel_totals(reader, begin.channels) && reader.read_uint(begin.bytes) && reader.at_end();
}

// `channels`: called with the packer to write the array of `[name, count, digest]`.
template <typename Packer, typename Channels>
void write_begin(Packer& packer, const Begin& begin, Channels channels) {
    packer.pack_array(11);
    packer.pack_uint64(begin.prev);
    packer.pack_uint64(begin.number);
    packer.pack_uint64(begin.epoch);
    packer.pack_str(static_cast<uint32_t>(begin.nonce.size()));
    packer.pack_str_body(begin.nonce.data(), static_cast<uint32_t>(begin.nonce.size()));
    packer.pack_uint64(begin.xid);
    packer.pack_int64(begin.time);
    detail::pack_text_or_nil(packer, begin.has_origin, begin.origin);
    detail::pack_text_or_nil(packer, begin.has_context, begin.context);
    packer.pack_uint64(begin.total);
    channels(packer);
    packer.pack_uint64(begin.bytes);
}

// False unless it is well-formed, and has a length that a part may have.
[[nodiscard]] inline bool read_part(Bytes bytes, Part& part) {
    Reader reader(bytes);
    uint32_t fields = 0;
    part = Part{};
    return reader.read_array(fields) && fields == 3 && reader.read_uint(part.index) &&
           reader.read_bool(part.unfinished) && reader.read_bin(part.data) && reader.at_end() && !part.data.empty() &&
           part.data.size() <= kMaxPartBytes;
}

template <typename Packer>
void write_part(Packer& packer, const Part& part) {
    packer.pack_array(3);
    packer.pack_uint64(part.index);
    part.unfinished ? packer.pack_true() : packer.pack_false();
    packer.pack_bin(static_cast<uint32_t>(part.data.size()));
    packer.pack_bin_body(part.data.data(), static_cast<uint32_t>(part.data.size()));
}

}  // namespace paysync::wire

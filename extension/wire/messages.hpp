// The bodies of HELLO, WELCOME and ERROR (docs/wire.md §6): maps with small integer keys, unknown keys ignored. Those
// of BEGIN and PART are in streamed.hpp. Writers are templates on a msgpack packer, so that a caller brings its own
// buffer.
#pragma once

#include "wire/position.hpp"
#include "wire/reader.hpp"

namespace paysync::wire {

inline constexpr size_t kStreamIdBytes = 16;

struct Hello {
    uint64_t lowest_version = 0;
    uint64_t highest_version = 0;
    Bytes stream_id;  // empty or 16 bytes
    Bytes position;   // empty: go on after what was acknowledged
    uint64_t window = 0;
    Bytes software;
    bool obeys_rewinds = false;  // it starts where a replay was asked for, whatever position it brings
};

struct Welcome {
    uint64_t version = 0;
    Bytes stream_id;
    uint64_t epoch = 0;
    Bytes nonce;
    Bytes channels;  // msgpack array of str
    Bytes subscriber;
    Bytes start;    // position
    Bytes rewound;  // position that a replay was asked for from; empty: none was
    Bytes skipped;  // msgpack array of int, numbers that this subscriber is never sent; empty: none
};

struct ErrorText {
    Bytes message;
    Bytes detail;
    Bytes hint;
};

namespace detail {

// Calls `field(key)` for each pair, the reader standing at the value; `field` returns false to refuse.
template <typename Field>
bool read_fields(Bytes bytes, Field field) {
    Reader reader(bytes);
    uint32_t pairs = 0;
    if (!reader.read_map(pairs)) return false;
    for (uint32_t i = 0; i < pairs; ++i) {
        int64_t key = 0;
        if (!reader.read_int(key) || !field(reader, key)) return false;
    }
    return reader.at_end();
}

inline bool read_nil_or_str(Reader& reader, Bytes& value) { return reader.read_nil() || reader.read_str(value); }
inline bool read_nil_or_bin(Reader& reader, Bytes& value) { return reader.read_nil() || reader.read_bin(value); }

// An array of numbers that are not negative, as it stands.
inline bool read_numbers(Reader& reader, Bytes& raw) {
    const size_t start = reader.offset();
    uint32_t count = 0;
    uint64_t number = 0;
    if (!reader.read_array(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
        if (!reader.read_uint(number)) return false;
    }
    raw = reader.since(start);
    return true;
}

template <typename Packer>
void pack_text(Packer& packer, int key, Bytes text) {
    packer.pack_int(key);
    packer.pack_str(static_cast<uint32_t>(text.size()));
    packer.pack_str_body(text.data(), static_cast<uint32_t>(text.size()));
}

template <typename Packer>
void pack_binary(Packer& packer, int key, Bytes bytes) {
    packer.pack_int(key);
    packer.pack_bin(static_cast<uint32_t>(bytes.size()));
    packer.pack_bin_body(bytes.data(), static_cast<uint32_t>(bytes.size()));
}

}  // namespace detail

[[nodiscard]] inline bool read_hello(Bytes bytes, Hello& hello) {
    hello = Hello{};
    const bool ok = detail::read_fields(bytes, [&hello](Reader& reader, int64_t key) {
        switch (key) {
            case 1:
                return reader.read_uint(hello.lowest_version);
            case 2:
                return reader.read_uint(hello.highest_version);
            case 3:
                return detail::read_nil_or_bin(reader, hello.stream_id);
            case 4:
                // Empty text is no position, and must not be taken for none given.
                return reader.read_nil() || (reader.read_str(hello.position) && !hello.position.empty());
            case 5:
                return reader.read_uint(hello.window);
            case 6:
                return detail::read_nil_or_str(reader, hello.software);
            case 7:
                return reader.read_bool(hello.obeys_rewinds);
            default:
                return reader.skip();
        }
    });
    return ok && (hello.stream_id.empty() || hello.stream_id.size() == kStreamIdBytes);
}

template <typename Packer>
void write_hello(Packer& packer, const Hello& hello) {
    packer.pack_map(hello.obeys_rewinds ? 7 : 6);
    packer.pack_int(1);
    packer.pack_uint64(hello.lowest_version);
    packer.pack_int(2);
    packer.pack_uint64(hello.highest_version);
    if (hello.stream_id.empty()) {
        packer.pack_int(3);
        packer.pack_nil();
    } else {
        detail::pack_binary(packer, 3, hello.stream_id);
    }
    if (hello.position.empty()) {
        packer.pack_int(4);
        packer.pack_nil();
    } else {
        detail::pack_text(packer, 4, hello.position);
    }
    packer.pack_int(5);
    packer.pack_uint64(hello.window);
    detail::pack_text(packer, 6, hello.software);
    if (hello.obeys_rewinds) {
        packer.pack_int(7);
        packer.pack_true();
    }
}

// False unless version, stream id, channels, name and start are there and well-formed.
[[nodiscard]] inline bool read_welcome(Bytes bytes, Welcome& welcome) {
    welcome = Welcome{};
    PositionParts position;
    const bool ok = detail::read_fields(bytes, [&welcome, &position](Reader& reader, int64_t key) {
        switch (key) {
            case 1:
                return reader.read_uint(welcome.version);
            case 2:
                return reader.read_bin(welcome.stream_id);
            case 3:
                return reader.read_uint(welcome.epoch);
            case 4:
                return reader.read_str(welcome.nonce);
            case 5: {
                const size_t start = reader.offset();
                if (reader.peek() != Type::kArray || !reader.skip()) return false;
                welcome.channels = reader.since(start);
                return true;
            }
            case 6:
                return reader.read_str(welcome.subscriber);
            case 7:
                return reader.read_str(welcome.start);
            case 8:
                return reader.read_str(welcome.rewound) && parse_position(welcome.rewound, position);
            case 9:
                return detail::read_numbers(reader, welcome.skipped);
            default:
                return reader.skip();
        }
    });
    return ok && welcome.version != 0 && welcome.stream_id.size() == kStreamIdBytes && !welcome.channels.empty() &&
           !welcome.subscriber.empty() && parse_position(welcome.start, position);
}

// `channels`: called with the packer to write the array of channel names; `skipped`, of `skips` numbers, for those that
// are left out. What is empty is not written: version 1 knows neither it nor `rewound`.
template <typename Packer, typename Channels, typename Skipped>
void write_welcome(Packer& packer, const Welcome& welcome, Channels channels, size_t skips, Skipped skipped) {
    packer.pack_map(7U + (welcome.rewound.empty() ? 0 : 1) + (skips == 0 ? 0 : 1));
    packer.pack_int(1);
    packer.pack_uint64(welcome.version);
    detail::pack_binary(packer, 2, welcome.stream_id);
    packer.pack_int(3);
    packer.pack_uint64(welcome.epoch);
    detail::pack_text(packer, 4, welcome.nonce);
    packer.pack_int(5);
    channels(packer);
    detail::pack_text(packer, 6, welcome.subscriber);
    detail::pack_text(packer, 7, welcome.start);
    if (!welcome.rewound.empty()) detail::pack_text(packer, 8, welcome.rewound);
    if (skips == 0) return;
    packer.pack_int(9);
    skipped(packer);
}

template <typename Packer, typename Channels>
void write_welcome(Packer& packer, const Welcome& welcome, Channels channels) {
    write_welcome(packer, welcome, channels, 0, [](Packer&) {});
}

[[nodiscard]] inline bool read_error(Bytes bytes, ErrorText& text) {
    text = ErrorText{};
    return detail::read_fields(bytes, [&text](Reader& reader, int64_t key) {
        switch (key) {
            case 1:
                return reader.read_str(text.message);
            case 2:
                return reader.read_str(text.detail);
            case 3:
                return reader.read_str(text.hint);
            default:
                return reader.skip();
        }
    });
}

template <typename Packer>
void write_error(Packer& packer, const ErrorText& text) {
    packer.pack_map(3);
    detail::pack_text(packer, 1, text.message);
    detail::pack_text(packer, 2, text.detail);
    detail::pack_text(packer, 3, text.hint);
}

}  // namespace paysync::wire

// A growing run of bytes in a memory context, and the sink that msgpack-c packs into.
#pragma once

#include <msgpack/pack.hpp>

#include "postgres.hpp"

#include "wire/reader.hpp"

namespace paysync {

// Trivially destructible on purpose: an error leaves by longjmp, and the memory goes with its context.
class ByteBuffer {
public:
    // What msgpack::packer calls.
    void write(const char* bytes, size_t length) {
        if (length > capacity_ - used_) grow(length);
        memcpy(data_ + used_, bytes, length);
        used_ += length;
    }
    // What the JSON writer calls.
    void append(const char* bytes, size_t length) { write(bytes, length); }

    // Empties it; memory comes from `context` from now on, if it has none yet.
    void start(MemoryContext context) {
        used_ = 0;
        if (data_ == nullptr) context_ = context;
    }
    // Keeps the first `length` bytes.
    void cut(size_t length) { used_ = length; }
    // Gives the memory back if it is more than `keep` bytes.
    void trim(size_t keep) {
        if (capacity_ <= keep) return;
        pfree(data_);
        data_ = nullptr;
        capacity_ = used_ = 0;
    }

    [[nodiscard]] wire::Bytes bytes() const { return wire::Bytes(data_, used_); }
    [[nodiscard]] size_t size() const { return used_; }

private:
    void grow(size_t needed) {
        size_t capacity = capacity_ == 0 ? 1024 : capacity_;
        while (capacity - used_ < needed) capacity *= 2;
        data_ = static_cast<char*>(data_ == nullptr ? MemoryContextAllocHuge(context_, capacity)
                                                    : repalloc_huge(data_, capacity));
        capacity_ = capacity;
    }

    char* data_;
    size_t used_;
    size_t capacity_;
    MemoryContext context_;
};

using Packer = msgpack::packer<ByteBuffer>;

// Appends `text` as a msgpack str.
inline void pack_text(Packer& packer, wire::Bytes text) {
    packer.pack_str(static_cast<uint32_t>(text.size()));
    packer.pack_str_body(text.data(), static_cast<uint32_t>(text.size()));
}

inline void pack_bytes(Packer& packer, wire::Bytes bytes) {
    packer.pack_bin(static_cast<uint32_t>(bytes.size()));
    packer.pack_bin_body(bytes.data(), static_cast<uint32_t>(bytes.size()));
}

// Appends what is msgpack already.
inline void pack_raw(Packer& packer, wire::Bytes bytes) {
    packer.pack_str_body(bytes.data(), static_cast<uint32_t>(bytes.size()));
}

// `text`, in the server's encoding, as UTF-8; the same memory where nothing is to convert. Error 22021 where it cannot
// be.
inline wire::Bytes to_utf8(const char* text, size_t length) {
    if (GetDatabaseEncoding() == PG_UTF8) return wire::Bytes(text, length);
    const char* converted = pg_server_to_any(text, static_cast<int>(length), PG_UTF8);
    return wire::Bytes(converted, converted == text ? length : strlen(converted));
}

inline wire::Bytes to_utf8(const char* text) { return to_utf8(text, strlen(text)); }

}  // namespace paysync

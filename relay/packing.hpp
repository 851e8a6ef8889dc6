// msgpack's packer over a string.
#pragma once

#include <msgpack/pack.hpp>
#include <string>

#include "wire/reader.hpp"

namespace paysync::relay {

struct StringSink {
    std::string& out;
    void write(const char* bytes, size_t length) { out.append(bytes, length); }
};
using Packer = msgpack::packer<StringSink>;

template <typename AnyPacker>
void pack_str(AnyPacker& packer, wire::Bytes text) {
    packer.pack_str(static_cast<uint32_t>(text.size()));
    packer.pack_str_body(text.data(), static_cast<uint32_t>(text.size()));
}

template <typename AnyPacker>
void pack_bin(AnyPacker& packer, wire::Bytes bytes) {
    packer.pack_bin(static_cast<uint32_t>(bytes.size()));
    packer.pack_bin_body(bytes.data(), static_cast<uint32_t>(bytes.size()));
}

}  // namespace paysync::relay

// Tokens: HMAC-SHA-256 under keys that only the extension's owner sets (paysync.mask_key).
#pragma once

#include "byte_buffer.hpp"

namespace paysync {

// A key in memory; overwritten before that memory is given back.
struct MaskKey {
    MemoryContextCallback end;
    size_t length;
    wire::Bytes prefix;  // of its tokens: its name and a colon, UTF-8
    uint8* bytes;
};

// The key `name`, in `memory`. Error 55000 if it is not set.
MaskKey* read_mask_key(const char* name, MemoryContext memory);

// Packs the token of `text`: the key's name, a colon, 64 hex digits.
void pack_token(Packer& packer, const MaskKey& key, wire::Bytes text);

}  // namespace paysync

// jsonb as text, byte for byte what its output function gives, for fewer instructions: that function takes half of what
// a row with jsonb in it costs (decision 0011).
#pragma once

#include "byte_buffer.hpp"

namespace paysync {

// Appends the text, in the server's encoding.
void write_jsonb(ByteBuffer& out, Jsonb* jsonb);

}  // namespace paysync

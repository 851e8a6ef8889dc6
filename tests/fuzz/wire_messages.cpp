// Any bytes as a head, as HELLO, WELCOME, ERROR, BEGIN and PART, and as a position; what is accepted comes back when
// written again.
#include <cstdlib>
#include <msgpack.hpp>

#include "wire/frame.hpp"
#include "wire/messages.hpp"
#include "wire/position.hpp"
#include "wire/streamed.hpp"

namespace {

using namespace paysync::wire;

void require(bool condition) {
    if (!condition) std::abort();
}

void check_hello(Bytes bytes) {
    Hello hello;
    if (!read_hello(bytes, hello)) return;
    msgpack::sbuffer buffer;
    msgpack::packer<msgpack::sbuffer> packer(buffer);
    write_hello(packer, hello);
    Hello again;
    require(read_hello(Bytes(buffer.data(), buffer.size()), again));
    require(again.window == hello.window && again.position == hello.position && again.stream_id == hello.stream_id &&
            again.software == hello.software && again.lowest_version == hello.lowest_version &&
            again.obeys_rewinds == hello.obeys_rewinds);
}

void check_begin(Bytes bytes) {
    Begin begin;
    if (!read_begin(bytes, begin)) return;
    require(begin.prev < begin.number);
    msgpack::sbuffer buffer;
    msgpack::packer<msgpack::sbuffer> packer(buffer);
    write_begin(packer, begin, [&](auto&) { buffer.write(begin.channels.data(), begin.channels.size()); });
    Begin again;
    require(read_begin(Bytes(buffer.data(), buffer.size()), again));
    require(again.prev == begin.prev && again.number == begin.number && again.nonce == begin.nonce &&
            again.time == begin.time && again.has_origin == begin.has_origin && again.context == begin.context &&
            again.total == begin.total && again.channels == begin.channels && again.bytes == begin.bytes);
}

void check_part(Bytes bytes) {
    Part part;
    if (!read_part(bytes, part)) return;
    require(!part.data.empty() && part.data.size() <= kMaxPartBytes);
    msgpack::sbuffer buffer;
    msgpack::packer<msgpack::sbuffer> packer(buffer);
    write_part(packer, part);
    Part again;
    require(read_part(Bytes(buffer.data(), buffer.size()), again));
    require(again.index == part.index && again.unfinished == part.unfinished && again.data == part.data);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const Bytes bytes(reinterpret_cast<const char*>(data), size);
    Frame frame;
    if (decode_frame(bytes, frame)) {
        char again[kFrameBytes];
        encode_frame(frame, again);
        require(bytes == Bytes(again, sizeof again));
    }
    check_hello(bytes);
    check_begin(bytes);
    check_part(bytes);
    Welcome welcome;
    if (read_welcome(bytes, welcome)) require(welcome.stream_id.size() == kStreamIdBytes && !welcome.start.empty());
    ErrorText text;
    (void)read_error(bytes, text);
    PositionParts parts;
    if (parse_position(bytes, parts)) {
        const std::string same =
            std::to_string(parts.epoch) + "." + std::string(parts.nonce) + ":" + std::to_string(parts.number);
        require(same == bytes);
    }
    return 0;
}

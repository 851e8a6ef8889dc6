// F0, the 32-byte head of every message between subscriber and relay, and the protocol's numbers (docs/wire.md §5, §6,
// §8, §10).
#pragma once

#include "wire/digest.hpp"
#include "wire/reader.hpp"

namespace paysync::wire {

inline constexpr size_t kFrameBytes = 32;
inline constexpr uint16_t kMagic = 0x5053;
inline constexpr uint8_t kLayout = 1;  // of F0 itself, whatever the version of the session
// Versions of the protocol. Streamed transactions, and the fields of WELCOME that tell of replays, came with 2.
inline constexpr uint64_t kLowestVersion = 1;
inline constexpr uint64_t kHighestVersion = 2;
inline constexpr uint64_t kStreamingVersion = 2;
// A transaction whose stream of changes, all channels, is longer than this comes in parts (docs/wire.md §8).
inline constexpr uint64_t kStreamedBytes = 4 * 1024 * 1024;
inline constexpr size_t kMaxPartBytes = 256 * 1024;
inline constexpr size_t kMaxControlBytes = 32 * 1024;
inline constexpr uint64_t kMinWindow = 64 * 1024;
inline constexpr uint64_t kMaxWindow = 64 * 1024 * 1024;
inline constexpr uint64_t kDefaultWindow = 4 * 1024 * 1024;
inline constexpr char kEphemeral[] = "*";

enum class Kind : uint8_t {
    kHello = 0x01,
    kAck = 0x02,
    kPing = 0x03,
    kPong = 0x04,
    kBye = 0x05,
    kWelcome = 0x81,
    kBatch = 0x82,
    kShapes = 0x83,
    kBegin = 0x84,
    kPart = 0x85,
    kEnd = 0x86,
    kError = 0x8f,
};
inline constexpr uint8_t kOptionalKind = 0x40;

enum class Error : uint16_t {
    kBadVersion = 100,
    kBadFrame = 101,
    kUnknownSubscriber = 102,
    kGone = 200,
    kTruncated = 201,
    kStreamMismatch = 202,
    kFuture = 203,
    kUnknownHistory = 204,
    kCutOff = 205,
    kStaleSession = 301,
    kAckRange = 302,
    kBusy = 303,
    kStarting = 401,
    kDatabaseDown = 402,
    kPaused = 403,
    kTransactionTooLarge = 500,
    kCorrupt = 501,
};

// Kinds of these versions.
inline bool is_known(Kind kind) {
    switch (kind) {
        case Kind::kHello:
        case Kind::kAck:
        case Kind::kPing:
        case Kind::kPong:
        case Kind::kBye:
        case Kind::kWelcome:
        case Kind::kBatch:
        case Kind::kShapes:
        case Kind::kBegin:
        case Kind::kPart:
        case Kind::kEnd:
        case Kind::kError:
            return true;
    }
    return false;
}

// Kinds that a receiver ignores if it does not know them; any other unknown one is a bad frame.
inline bool is_optional(Kind kind) { return (static_cast<uint8_t>(kind) & kOptionalKind) != 0; }

// Whether a message of this kind may have so many frames, F0 included (docs/wire.md §6). Only a BYE may come with or
// without a body; of an optional kind nothing is known.
inline bool frames_fit(Kind kind, size_t frames) {
    if (frames < 1 || frames > 2) return false;
    switch (kind) {
        case Kind::kHello:
        case Kind::kWelcome:
        case Kind::kBatch:
        case Kind::kShapes:
        case Kind::kBegin:
        case Kind::kPart:
        case Kind::kError:
            return frames == 2;
        case Kind::kAck:
        case Kind::kPing:
        case Kind::kPong:
        case Kind::kEnd:
            return frames == 1;
        case Kind::kBye:
            return true;
    }
    return true;
}

// Errors that pass by themselves.
inline bool is_transient(uint64_t code) { return code >= 400 && code <= 499; }

struct Frame {
    Kind kind = Kind::kHello;
    uint64_t session = 0;
    uint64_t a = 0;
    uint64_t b = 0;
};

// Writes kFrameBytes bytes to `out`.
inline void encode_frame(const Frame& frame, char* out) {
    put_u64(out, uint64_t{kMagic} << 48 | uint64_t{kLayout} << 40 | static_cast<uint64_t>(frame.kind) << 32);
    put_u64(out + 8, frame.session);
    put_u64(out + 16, frame.a);
    put_u64(out + 24, frame.b);
}

// False where the bytes are no F0 of this layout. The kind is taken as it is: the receiver refuses what it does not
// know.
[[nodiscard]] inline bool decode_frame(Bytes bytes, Frame& frame) {
    if (bytes.size() != kFrameBytes) return false;
    const uint64_t head = get_u64(bytes.data());
    if (head >> 48 != kMagic || (head >> 40 & 0xff) != kLayout || (head & 0xffffffffU) != 0) return false;
    frame.kind = static_cast<Kind>(head >> 32 & 0xff);
    frame.session = get_u64(bytes.data() + 8);
    frame.a = get_u64(bytes.data() + 16);
    frame.b = get_u64(bytes.data() + 24);
    return true;
}

}  // namespace paysync::wire

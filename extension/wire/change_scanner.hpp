// Finds the changes in a stream of them that comes in pieces: where each begins and ends, its channel, its digest. It
// holds the head of one change and nothing else, so a change may be longer than any piece, or than memory.
#pragma once

#include "wire/change.hpp"
#include "wire/digest.hpp"
#include "wire/reader.hpp"

namespace paysync::wire {

// Takes exactly what read_change() takes. Usage: give it a piece, and as long as scan() finds something, what is left
// of the piece again; after kNothing the next piece. After kBad it is of no further use.
class ChangeScanner {
public:
    enum class Found : uint8_t {
        kNothing,  // the piece is used up
        kHead,     // it is known whose change it is; kEnd follows, maybe without another byte
        kEnd,
        kBad,  // no change of this format, or longer than the stream
    };

    // `length`: bytes of the whole stream, or more; what claims to go on behind them is bad.
    explicit ChangeScanner(uint64_t length) : left_of_stream_(length) {}
    ChangeScanner(const ChangeScanner&) = delete;
    ChangeScanner& operator=(const ChangeScanner&) = delete;

    // Takes bytes from the front of `piece` until something is found. What it leaves there must be what it is given
    // next, at the same place in memory.
    [[nodiscard]] Found scan(Bytes& piece) {
        const char* const begin = piece.data();
        if (run_ == nullptr) run_ = begin;
        const Found found = step(piece);
        const auto used = static_cast<uint64_t>(piece.data() - begin);
        if (used > left_of_stream_) return Found::kBad;
        left_of_stream_ -= used;
        if (found == Found::kEnd) {
            finish_digest(piece.data());
        } else if (piece.empty()) {
            hash(piece.data());
        }
        return found;
    }

    // Whether the last change has ended, and none has begun.
    [[nodiscard]] bool at_boundary() const { return field_ < 0 && have_ == 0; }

    // From kHead on, until the next change begins.
    [[nodiscard]] Operation operation() const { return operation_; }
    [[nodiscard]] int64_t shape() const { return shape_; }                           // 0 for an event
    [[nodiscard]] Bytes channel() const { return Bytes(channel_, channel_bytes_); }  // event only
    [[nodiscard]] uint64_t command() const { return command_; }
    [[nodiscard]] int64_t previous() const { return previous_; }  // alter only
    // From kEnd on.
    [[nodiscard]] const Digest& digest() const { return digest_; }

private:
    // A channel's name is shorter by far (docs/wire.md §5); a longer one cannot be anybody's.
    static constexpr size_t kMostChannelBytes = 255;
    static constexpr size_t kMostTokenBytes = 9;

    // What stands at the front of a value: its type, and a number or the length of what follows.
    struct Token {
        Type type = Type::kBad;
        bool is_negative = false;
        uint64_t number = 0;  // of an int its 64 bits; of an array or map its elements
        uint64_t body = 0;    // bytes that follow
    };

    Found step(Bytes& piece) {
        if (is_complete_) {  // found together with its head
            is_complete_ = false;
            field_ = -1;
            return Found::kEnd;
        }
        const uint64_t room = left_of_stream_;
        const char* const begin = piece.data();
        while (true) {
            if (body_ > 0 && !pass_body(piece)) return Found::kNothing;
            if (value_ended_) {
                value_ended_ = false;
                const Found found = end_value();
                if (found != Found::kNothing) return found;
            }
            if (piece.empty()) return Found::kNothing;
            if (depth_ > 0 && have_ == 0 && pass_scalars(piece)) continue;
            if (!take_token(piece)) return token_bytes(token_[0]) == 0 ? Found::kBad : Found::kNothing;
            const auto used = static_cast<uint64_t>(piece.data() - begin);
            if (used > room || !take_value(decode(), room - used)) return Found::kBad;
        }
    }

    // Passes over what a row holds, as far as it is plain and lies in this piece. False where nothing was.
    bool pass_scalars(Bytes& piece) {
        const char* at = piece.data();
        const char* const end = at + piece.size();
        uint64_t& left = left_[depth_];
        while (left > 0 && at != end) {
            const size_t width = detail::kScalarBytes.of[static_cast<uint8_t>(*at)];
            if (width == 0 || width > static_cast<size_t>(end - at)) break;
            at += width;
            left -= 1;
        }
        value_ended_ = at != piece.data();
        piece.remove_prefix(static_cast<size_t>(at - piece.data()));
        return value_ended_;
    }

    // Bytes of a value's front, its tag included; 0 for a tag that does not exist.
    static size_t token_bytes(uint8_t tag) {
        if (tag <= 0xbf || tag >= 0xe0) return 1;
        static constexpr uint8_t kBytes[] = {1, 0, 1, 1, 2, 3, 5, 2, 3, 5, 5, 9, 2, 3, 5, 9,
                                             2, 3, 5, 9, 1, 1, 1, 1, 1, 2, 3, 5, 3, 5, 3, 5};
        return kBytes[tag - 0xc0];
    }

    // False where the front is not all here yet, or there is no such tag.
    bool take_token(Bytes& piece) {
        if (have_ == 0) token_[0] = static_cast<uint8_t>(piece[0]);
        const size_t wanted = token_bytes(token_[0]);
        while (have_ < wanted && !piece.empty()) {
            token_[have_++] = static_cast<uint8_t>(piece[0]);
            piece.remove_prefix(1);
        }
        if (wanted == 0 || have_ < wanted) return false;
        have_ = 0;
        return true;
    }

    [[nodiscard]] Token decode() const {
        const uint8_t tag = token_[0];
        const size_t bytes = token_bytes(tag);
        char text[kMostTokenBytes];
        std::memcpy(text, token_, bytes);
        Token token;
        token.type = Reader(Bytes(text, bytes)).peek();
        uint64_t number = 0;
        for (size_t i = 1; i < bytes; ++i) number = number << 8 | token_[i];
        switch (token.type) {
            case Type::kInt: {
                int64_t value = 0;
                token.number = number;
                if (bytes == 1) token.number = tag;
                // One above 2^63-1 is no signed number, and stands as it is.
                if (Reader(Bytes(text, bytes)).read_int(value)) {
                    token.number = static_cast<uint64_t>(value);
                    token.is_negative = value < 0;
                }
                break;
            }
            case Type::kStr:
                token.body = bytes == 1 ? tag & 0x1fU : number;
                break;
            case Type::kBin:
                token.body = number;
                break;
            case Type::kArray:
            case Type::kMap:
                token.number = bytes == 1 ? tag & 0x0fU : number;
                break;
            case Type::kExt:
                // A byte behind the length says which extension it is.
                token.body = 1 + (bytes == 1 ? uint64_t{1} << (tag - 0xd4) : number);
                break;
            default:
                break;
        }
        return token;
    }

    // False where the value may not stand here, or `room` bytes of stream could not hold it.
    bool take_value(const Token& token, uint64_t room) {
        if (field_ < 0) return take_change(token);
        if (depth_ == 0 && !take_field(token)) return false;
        const uint64_t inside = token.type == Type::kMap     ? 2 * token.number
                                : token.type == Type::kArray ? token.number
                                                             : 0;
        if (token.type == Type::kBad || token.body > room || inside > room) return false;
        left_[depth_] -= 1;
        body_ = token.body;
        value_ended_ = true;
        if (inside == 0) return true;
        if (depth_ == kDeepest) return false;
        value_ended_ = false;
        depth_ += 1;
        left_[depth_] = inside;
        return true;
    }

    bool take_change(const Token& token) {
        if (token.type != Type::kArray) return false;
        fields_ = static_cast<int>(token.number < 8 ? token.number : 0);
        field_ = 0;
        depth_ = 0;
        left_[0] = 1;
        shape_ = previous_ = 0;
        channel_bytes_ = 0;
        return true;
    }

    bool take_field(const Token& token) {
        static constexpr int kFields[] = {4, 5, 4, 3, 7, 4, 5};
        const bool is_uint = token.type == Type::kInt && !token.is_negative;
        const bool is_positive = is_uint && token.number > 0 && token.number <= static_cast<uint64_t>(INT64_MAX);
        switch (field_) {
            case 0:
                if (!is_uint || token.number > 6 || fields_ != kFields[token.number]) return false;
                operation_ = static_cast<Operation>(token.number);
                return true;
            case 1:
                if (operation_ == Operation::kEvent) return token.type == Type::kStr && token.body <= kMostChannelBytes;
                shape_ = static_cast<int64_t>(token.number);
                return is_positive;
            case 2:
                command_ = token.number;
                return is_uint;
            default:
                break;
        }
        switch (operation_) {
            case Operation::kInsert:
                return token.type == Type::kArray;
            case Operation::kUpdate:
                if (field_ == 3) return token.type == Type::kArray;
                return token.type == Type::kMap || token.type == Type::kNil;
            case Operation::kDelete:
                return token.type == Type::kMap;
            case Operation::kEvent:
                return token.type == Type::kStr || (field_ == 4 && token.type == Type::kNil);
            case Operation::kGap:
                return token.type == Type::kStr;
            case Operation::kAlter:
                if (field_ == 4) return token.type == Type::kMap;
                previous_ = static_cast<int64_t>(token.number);
                return is_positive;
            default:
                return false;
        }
    }

    // False where more of it is to come.
    bool pass_body(Bytes& piece) {
        const size_t bytes = static_cast<size_t>(std::min<uint64_t>(body_, piece.size()));
        if (field_ == 1 && depth_ == 0) {
            std::memcpy(channel_ + channel_bytes_, piece.data(), bytes);
            channel_bytes_ += bytes;
        }
        piece.remove_prefix(bytes);
        body_ -= bytes;
        return body_ == 0;
    }

    Found end_value() {
        while (depth_ > 0 && left_[depth_] == 0) depth_ -= 1;
        if (left_[depth_] != 0) return Found::kNothing;
        field_ += 1;
        left_[0] = 1;
        const bool has_ended = field_ == fields_;
        if (field_ == (operation_ == Operation::kAlter ? 4 : 3)) {
            is_complete_ = has_ended;
            return Found::kHead;
        }
        if (!has_ended) return Found::kNothing;
        field_ = -1;
        return Found::kEnd;
    }

    // Takes what was scanned in this piece into the digest. A change that lies in one piece never comes here.
    void hash(const char* end) {
        if (end != run_) {
            if (!is_hashing_) XXH3_128bits_reset(&state_);
            is_hashing_ = true;
            XXH3_128bits_update(&state_, run_, static_cast<size_t>(end - run_));
        }
        run_ = nullptr;
    }

    void finish_digest(const char* end) {
        if (is_hashing_) {
            hash(end);
            const XXH128_hash_t sum = XXH3_128bits_digest(&state_);
            digest_ = Digest{sum.high64, sum.low64};
            is_hashing_ = false;
        } else {
            digest_ = digest_of(Bytes(run_, static_cast<size_t>(end - run_)));
        }
        run_ = nullptr;
    }

    uint64_t left_of_stream_;
    const char* run_ = nullptr;  // from here on this piece is not in the digest yet
    uint8_t token_[kMostTokenBytes] = {};
    size_t have_ = 0;  // bytes of `token_`
    uint64_t body_ = 0;
    bool value_ended_ = false;  // with its body
    int field_ = -1;            // of the change, -1 between changes
    int fields_ = 0;
    size_t depth_ = 0;
    uint64_t left_[kDeepest + 1] = {};  // values still to pass, by depth
    bool is_complete_ = false;

    Operation operation_ = Operation::kInsert;
    int64_t shape_ = 0;
    int64_t previous_ = 0;
    uint64_t command_ = 0;
    char channel_[kMostChannelBytes] = {};
    size_t channel_bytes_ = 0;

    Digest digest_;
    bool is_hashing_ = false;
    XXH3_state_t state_;
};

}  // namespace paysync::wire

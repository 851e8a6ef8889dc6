// Lines that may be longer than memory.
#include "line_sink.hpp"

#include <cstring>

#include "output.hpp"

namespace paysync::cli {

namespace {

constexpr size_t kFlushBytes = 64 * 1024;

// Follows `before` with a change: unlike a sum it tells one order from another.
wire::Digest chained(const wire::Digest& before, std::string_view change) {
    char both[2 * wire::kDigestBytes];
    wire::put_digest(both, before);
    wire::put_digest(both + wire::kDigestBytes, wire::digest_of(change));
    return wire::digest_of(wire::Bytes(both, sizeof both));
}

}  // namespace

WriteError::WriteError(const std::string& position, int error_number)
    : std::runtime_error("cannot write transaction " + position + ": " + std::strerror(error_number)) {}

void LineSink::begin(const TransactionHead& head) {
    std::string text = to_json(head);
    seen_ = 0;
    seen_digest_ = wire::Digest{};
    if (cut_) {
        if (text != head_) {
            throw Error("transaction " + position_.text() + " was cut off in mid-line, and " + head.position.text() +
                            " came instead of its rest",
                        "Its line ends without its end.", "Start again: it is printed whole.");
        }
        cut_ = false;
        return;
    }
    position_ = head.position;
    streamed_ = head.streamed_bytes > 0;
    buffer_ = head_ = std::move(text);
    printed_ = 0;
    printed_digest_ = wire::Digest{};
}

void LineSink::changes(std::span<Change> changes) {
    for (const Change& change : changes) put(change);
    if (streamed_) flush();
}

void LineSink::put(const Change& change) {
    seen_ += 1;
    seen_digest_ = chained(seen_digest_, change.bytes);
    if (seen_ <= printed_) {
        if (seen_ == printed_ && seen_digest_ != printed_digest_) {
            throw Error("transaction " + position_.text() + " came again with other changes",
                        "Its first " + std::to_string(printed_) + " changes are printed, and differ.",
                        "The source lost what it had delivered, or the relay is not to be trusted.");
        }
        return;
    }
    if (printed_ > 0) buffer_ += ',';
    buffer_ += to_json(change);
    printed_ = seen_;
    printed_digest_ = seen_digest_;
    if (buffer_.size() >= kFlushBytes) flush();
}

void LineSink::commit() {
    if (seen_ < printed_) {
        throw Error("transaction " + position_.text() + " came again with fewer changes than are printed",
                    std::to_string(seen_) + " came, " + std::to_string(printed_) + " are printed.");
    }
    buffer_ += kJsonEnd;
    buffer_ += '\n';
    flush();
    written_ = false;
}

void LineSink::abort() { cut_ = written_; }

void LineSink::flush() {
    if (buffer_.empty()) return;
    const int error = write_all(descriptor_, buffer_);
    if (error != 0) throw WriteError(position_.text(), error);
    written_ = true;
    buffer_.clear();
    // One long change must not keep its memory for the rest of the run.
    if (buffer_.capacity() > 16 * kFlushBytes) buffer_.shrink_to_fit();
}

}  // namespace paysync::cli

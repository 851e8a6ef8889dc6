// Transactions as lines of JSON, written as they come: a line is whole when its end is there.
#pragma once

#include <stdexcept>
#include <string>

#include "paysync.hpp"
#include "wire/digest.hpp"

namespace paysync::cli {

// A line could not be written; `error_number` says why.
class WriteError : public std::runtime_error {
public:
    WriteError(const std::string& position, int error_number);
};

// Writes one line a transaction. What is aborted in mid-line goes on there when it comes again: the changes that were
// printed are compared with those that come instead of them, and Error is thrown where they differ or where another
// transaction comes.
class LineSink : public TransactionSink {
public:
    explicit LineSink(int descriptor) : descriptor_(descriptor) {}

    void begin(const TransactionHead& head) override;
    void changes(std::span<Change> changes) override;
    void commit() override;
    void abort() override;

    // The position of the transaction whose line was begun last.
    [[nodiscard]] const Position& position() const { return position_; }
    // A part of its line is written.
    [[nodiscard]] bool in_line() const { return written_; }
    // ... and the rest has to come again.
    [[nodiscard]] bool is_cut() const { return cut_; }

private:
    void put(const Change& change);
    void flush();

    const int descriptor_;
    Position position_;
    std::string head_;
    std::string buffer_;
    bool streamed_ = false;
    bool written_ = false;
    bool cut_ = false;
    // Changes of the line so far, and since begin(): how many, and a digest of their digests in order.
    uint64_t printed_ = 0;
    wire::Digest printed_digest_;
    uint64_t seen_ = 0;
    wire::Digest seen_digest_;
};

}  // namespace paysync::cli

// A transaction that comes in parts, as the connection sees it: every part is checked as it comes, and nothing of it is
// kept (docs/wire.md §8).
#pragma once

#include "batch.hpp"
#include "wire/change_scanner.hpp"
#include "wire/streamed.hpp"

namespace paysync {

// PostgreSQL's values have 1 GB at most, and what it writes at once little more; longer ones nobody captured.
inline constexpr uint64_t kMaxChangeBytes = uint64_t{1100} * 1024 * 1024;

// A part's data, and where in it changes end.
struct StreamedPart {
    wire::Bytes data;
    size_t first_end = 0;  // bytes up to the end of the first change that ends in it, 0 if none does
    size_t last_end = 0;   // of the last
};

class StreamedCheck {
public:
    // `raw` has views into `storage`. Throws Error if what is announced contradicts itself.
    StreamedCheck(RawTransaction raw, std::shared_ptr<const void> storage);

    [[nodiscard]] const RawTransaction& raw() const { return raw_; }
    // The index of the next part.
    [[nodiscard]] uint64_t index() const { return index_; }
    // Takes the next part. Throws Error if it is malformed, ends where it does not say, or is more than was announced.
    [[nodiscard]] StreamedPart add(const wire::Part& part, const Shapes& shapes);
    // Throws Error unless count and digest of each channel are what was announced.
    void finish() const;

private:
    void begin_change(const Shapes& shapes);
    void end_change();

    RawTransaction raw_;
    std::shared_ptr<const void> storage_;
    Shares announced_;
    Shares found_;
    wire::ChangeScanner scanner_;
    uint64_t index_ = 0;
    uint64_t change_bytes_ = 0;  // of the change under way
    int64_t shape_ = 0;          // the last one that was looked up
    Shares::iterator share_;     // of the change under way
};

}  // namespace paysync

// One streamed transaction on its way to one session: reads it for itself, page by page, as the session has room, and
// holds a page and a part of it at most.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "part_cutter.hpp"
#include "stream_reader.hpp"

namespace paysync::relay {

// At most one of its statements runs at a time. It may be let go of at any time: its cursor is closed then, and answers
// find it gone.
class LargeTransaction : public std::enable_shared_from_this<LargeTransaction> {
public:
    // `context.worker` reads; it must outlive this.
    LargeTransaction(const ReaderContext& context, TransactionPtr transaction, const Selection& selection);
    ~LargeTransaction();
    LargeTransaction(const LargeTransaction&) = delete;
    LargeTransaction& operator=(const LargeTransaction&) = delete;

    [[nodiscard]] const Transaction& transaction() const { return *transaction_; }
    // Whether BEGIN went out; sending is the caller's.
    bool begun = false;

    // Whether there is more to be read, room for it, and nothing under way.
    [[nodiscard]] bool wants_page(Time now) const {
        return begun && !busy_ && !read_ && !refusal_ && now >= retry_at_ && cutter_.held() <= wire::kMaxPartBytes;
    }
    // The next page; only where wants_page().
    [[nodiscard]] Worker::Job page();

    [[nodiscard]] PartCutter& cutter() { return cutter_; }
    // It cannot be sent to its end.
    [[nodiscard]] const std::optional<Refusal>& refusal() const { return refusal_; }

private:
    // Of a transaction that must be put in order first.
    enum class Cursor { kNone, kOpen, kInPlace };

    [[nodiscard]] Worker::Job pieces();
    [[nodiscard]] Done answering(void (LargeTransaction::*take)(const Rows&));
    void declared(const Rows& rows);
    void passed(const Rows& rows);
    void take_page(const Rows& rows);
    void take_pieces(const Rows& rows);
    void take_error(const Answer& answer);
    void add(wire::Bytes bytes);
    void finish();
    void corrupt(const std::string& what);

    ReaderContext context_;
    TransactionPtr transaction_;
    PartCutter cutter_;
    bool busy_ = false;
    bool read_ = false;  // all of it
    std::optional<Refusal> refusal_;
    Backoff backoff_;
    Time retry_at_{};

    // By pages: the part read last, how many there were, and the end of the stream, which stands in the first row.
    int32_t after_part_ = -1;
    uint64_t parts_ = 0;
    std::string tail_;

    const std::string cursor_name_;
    Cursor cursor_ = Cursor::kNone;
    uint64_t pieces_ = 0;
};

}  // namespace paysync::relay

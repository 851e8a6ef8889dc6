// Pages of chunks where they are in order, fetches from a cursor where they were sorted first.
#include "large_transaction.hpp"

#include "calls.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "wire/closing.hpp"
#include "wire/page.hpp"

namespace paysync::relay {

namespace {

std::string next_cursor_name() {
    static uint64_t last = 0;
    last += 1;
    return "paysync_pieces_" + std::to_string(last);
}

}  // namespace

LargeTransaction::LargeTransaction(const ReaderContext& context, TransactionPtr transaction, const Selection& selection)
    : context_(context),
      transaction_(std::move(transaction)),
      cutter_(transaction_, selection),
      cursor_name_(next_cursor_name()) {}

// The server keeps a cursor's rows on its disk until it is closed. One that is being opened is closed as well: the
// connection does one thing after the other.
LargeTransaction::~LargeTransaction() {
    const bool may_be_open = cursor_ != Cursor::kNone || (busy_ && transaction_->streamed->reorder);
    if (may_be_open && context_.worker.up()) context_.worker.submit(close_pieces_query(cursor_name_), nullptr);
}

Done LargeTransaction::answering(void (LargeTransaction::*take)(const Rows&)) {
    return [weak = weak_from_this(), take](Answer& answer) {
        const auto self = weak.lock();
        if (!self) return;
        self->busy_ = false;
        if (answer.error) {
            self->take_error(answer);
            return;
        }
        self->backoff_.reset();
        ((*self).*take)(answer.rows);
    };
}

Worker::Job LargeTransaction::page() {
    busy_ = true;
    if (transaction_->streamed->reorder) return pieces();
    return {read_page_query(transaction_->number, after_part_, context_.options.page_bytes),
            answering(&LargeTransaction::take_page)};
}

// After a loss of the connection the cursor is opened anew, and what was taken is passed over: the pieces are the same.
Worker::Job LargeTransaction::pieces() {
    if (cursor_ == Cursor::kNone) {
        return {declare_pieces_query(cursor_name_, transaction_->number), answering(&LargeTransaction::declared)};
    }
    if (cursor_ == Cursor::kOpen) {
        return {pass_pieces_query(cursor_name_, pieces_), answering(&LargeTransaction::passed)};
    }
    return {fetch_pieces_query(cursor_name_, std::max<uint64_t>(1, context_.options.page_bytes / kPieceBytes)),
            answering(&LargeTransaction::take_pieces)};
}

void LargeTransaction::declared(const Rows&) { cursor_ = pieces_ == 0 ? Cursor::kInPlace : Cursor::kOpen; }
void LargeTransaction::passed(const Rows&) { cursor_ = Cursor::kInPlace; }

void LargeTransaction::take_error(const Answer& answer) {
    const DatabaseError& error = *answer.error;
    if (answer.lost || error.sqlstate == "34000") {
        // Without the cursor: the connection was lost, now or while there was nothing to ask it, for want of credit.
        cursor_ = Cursor::kNone;
    } else if (error.sqlstate == "PS010") {
        refusal_ = Refusal{wire::Error::kCorrupt, transaction_->number, error.message, error.detail, error.hint};
        return;
    } else if (error.sqlstate == "PS005") {
        refusal_ = Refusal{wire::Error::kGone, number_in(error.detail), error.message, error.detail, error.hint};
        return;
    } else {
        log_error("page_failed", {{"number", transaction_->number},
                                  {"sqlstate", error.sqlstate},
                                  {"message", error.message},
                                  {"detail", error.detail},
                                  {"hint", error.hint}});
    }
    retry_at_ = Clock::now() + backoff_.next();
}

void LargeTransaction::corrupt(const std::string& what) {
    Transaction failed;
    failed.number = transaction_->number;
    make_corrupt(failed, "transaction " + std::to_string(failed.number) + " is other than was recorded", what);
    refusal_ = std::move(failed.refusal);
    log_error("transaction_refused", {{"number", failed.number},
                                      {"code", static_cast<int>(refusal_->code)},
                                      {"message", refusal_->message},
                                      {"detail", refusal_->detail}});
}

void LargeTransaction::add(wire::Bytes bytes) {
    counters.bytes_read += bytes.size();
    if (!refusal_ && !cutter_.add(bytes)) corrupt(cutter_.fault());
}

void LargeTransaction::finish() {
    read_ = true;
    if (!refusal_ && !cutter_.finish()) corrupt(cutter_.fault());
}

void LargeTransaction::take_page(const Rows& rows) {
    counters.pages_read += 1;
    const uint64_t wanted = transaction_->streamed->data_parts;
    bool brought_some = false;
    const std::string bytes = read_page(rows);
    wire::PageReader page(bytes);
    wire::PageChunk chunk;
    // Behind the last part come the next transactions.
    while (!refusal_ && page.next(chunk) && chunk.number == transaction_->number && chunk.part > after_part_) {
        brought_some = true;
        if (chunk.part == 0) {
            wire::Closing closing;
            if (!wire::read_closing(chunk.payload, closing)) {
                corrupt("Its closing record cannot be read.");
                return;
            }
            tail_ = std::string(closing.tail);
        } else if (parts_ < wanted) {
            add(chunk.payload);
            parts_ += 1;
        }
        after_part_ = chunk.part;
    }
    if (refusal_) return;
    if (after_part_ >= 0 && parts_ == wanted) {
        add(tail_);
        finish();
    } else if (!brought_some) {
        corrupt("Of the " + std::to_string(wanted) + " parts that were recorded " + std::to_string(parts_) +
                " are there.");
    }
}

void LargeTransaction::take_pieces(const Rows& rows) {
    counters.pages_read += 1;
    for (int row = 0; row < rows.count() && !refusal_; ++row) {
        if (static_cast<uint64_t>(rows.bigint(row, 0)) != pieces_) {
            corrupt("After piece " + std::to_string(pieces_) + " of its changes comes another than the next.");
            return;
        }
        add(rows.bytes(row, 1));
        pieces_ += 1;
    }
    if (rows.count() == 0 && !refusal_) finish();
}

}  // namespace paysync::relay

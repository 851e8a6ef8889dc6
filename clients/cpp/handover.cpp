// Whole transactions and pieces, in the thread that receives.
#include "handover.hpp"

#include <utility>

namespace paysync {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Decoded at once for a sink, of a transaction that came whole.
constexpr size_t kPieceBytes = 256 * 1024;
// Of transactions up to this size the memory of changes serves the next one.
constexpr size_t kKeptBytes = 4 * 1024;
// Between the parts of one that is streamed, about as many as a part has.
constexpr size_t kKeptChanges = 4096;

// The moment `timeout` from now; one far away stands for those that the clock cannot hold.
Clock::time_point after(milliseconds timeout) {
    return Clock::now() + std::min<milliseconds>(timeout, std::chrono::hours(24 * 365));
}

milliseconds left_until(Clock::time_point end) {
    return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(end - Clock::now()));
}

// Whether a call returns that has taken a piece. What made a transaction void may be an error, which is next.
bool is_over(const Waiting& taken, Clock::time_point end) {
    return taken.kind != Waiting::Kind::kVoid && Clock::now() >= end;
}

}  // namespace

Handover::Handover(Inbox& inbox, uint64_t max_transaction_bytes)
    : inbox_(inbox), max_transaction_bytes_(max_transaction_bytes) {}

template <typename Decode>
auto Handover::decoded(Decode decode) {
    try {
        return decode();
    } catch (...) {
        inbox_.fail_now(std::current_exception());
        throw;
    }
}

std::optional<Transaction> Handover::receive(milliseconds timeout) {
    if (streamed_ && streamed_->begun) {
        throw Error("transaction " + streamed_->head.position.text() + " is under way in receive_into()",
                    "Its sink has seen its beginning.", "Call receive_into() until it returns true.");
    }
    // Where something waits, the clock is not looked at for each transaction.
    std::optional<Waiting> waiting = inbox_.take(milliseconds(0));
    if (waiting && waiting->kind == Waiting::Kind::kWhole) return receive_one(*waiting);
    const Clock::time_point end = after(timeout);
    for (;;) {
        if (!waiting) waiting = inbox_.take(left_until(end));
        if (!waiting) return std::nullopt;
        std::optional<Transaction> transaction = receive_one(*waiting);
        if (transaction) return transaction;
        if (is_over(*waiting, end)) return std::nullopt;
        waiting.reset();
    }
}

std::optional<Transaction> Handover::receive_one(const Waiting& waiting) {
    std::optional<Transaction> transaction;
    switch (waiting.kind) {
        case Waiting::Kind::kWhole:
            transaction = decoded([&] { return decode(waiting.raw, *waiting.shapes, waiting.storage); });
            break;
        case Waiting::Kind::kBegin:
            decoded([&] { begin(waiting); });
            return transaction;
        case Waiting::Kind::kPart:
            decoded([&] {
                add(waiting);
                check_size(waiting);
            });
            return transaction;
        case Waiting::Kind::kEnd:
            static_cast<TransactionHead&>(transaction.emplace()) = std::move(streamed_->head);
            streamed_->changes.resize(streamed_->count);
            transaction->changes = std::move(streamed_->changes);
            transaction->storage = std::move(streamed_->storage);
            streamed_.reset();
            break;
        case Waiting::Kind::kVoid:
            streamed_.reset();
            return transaction;
    }
    inbox_.settle(waiting);
    return transaction;
}

void Handover::check_size(const Waiting& waiting) const {
    if (streamed_->bytes <= max_transaction_bytes_) return;
    throw Error("transaction " + waiting.raw.position.text() + " is longer than " +
                    std::to_string(max_transaction_bytes_) + " bytes",
                "All its changes, of every channel, have " + std::to_string(streamed_->head.streamed_bytes) + " bytes.",
                "Take it piece by piece with receive_into(), or raise Options::max_transaction_bytes.");
}

void Handover::begin(const Waiting& waiting) {
    streamed_ = std::make_unique<Streamed>();
    streamed_->head = decode_head(waiting.raw);
    streamed_->storage = std::make_shared<std::vector<std::shared_ptr<const void>>>();
}

// The part's whole changes are decoded where they lie. A change that is cut is put together first: its beginning is
// kept until the part comes in which it ends.
void Handover::add(const Waiting& waiting) {
    Streamed& streamed = *streamed_;
    const StreamedPart& part = waiting.part;
    streamed.bytes += part.data.size();
    size_t start = 0;
    if (streamed.cut && part.first_end > 0) {
        streamed.cut->append(part.data.substr(0, part.first_end));
        const std::shared_ptr<const GrowingBytes> whole = std::move(streamed.cut);
        streamed.storage->push_back(whole);
        decode_some(whole->bytes(), waiting);
        start = part.first_end;
    }
    if (part.last_end > start) {
        streamed.storage->push_back(waiting.storage);
        decode_some(part.data.substr(start, part.last_end - start), waiting);
        start = part.last_end;
    }
    if (start == part.data.size()) return;
    if (!streamed.cut) streamed.cut = std::make_shared<GrowingBytes>();
    streamed.cut->append(part.data.substr(start));
}

void Handover::decode_some(wire::Bytes bytes, const Waiting& waiting) {
    wire::Reader reader(bytes);
    while (!reader.at_end()) {
        if (streamed_->count == streamed_->changes.size()) streamed_->changes.emplace_back();
        decode_change(reader, waiting.raw.position, *waiting.shapes, streamed_->changes[streamed_->count]);
        streamed_->count += 1;
    }
}

bool Handover::receive_into(TransactionSink& sink, milliseconds timeout) {
    std::optional<Waiting> waiting = inbox_.take(milliseconds(0));
    if (waiting && waiting->kind == Waiting::Kind::kWhole) {
        whole_into(sink, *waiting);
        return true;
    }
    const Clock::time_point end = after(timeout);
    for (;;) {
        if (!waiting) waiting = inbox_.take(left_until(end));
        if (!waiting) return false;
        if (waiting->kind == Waiting::Kind::kWhole) {
            whole_into(sink, *waiting);
            return true;
        }
        if (piece_into(sink, *waiting)) return true;
        if (is_over(*waiting, end)) return false;
        waiting.reset();
    }
}

void Handover::whole_into(TransactionSink& sink, const Waiting& waiting) {
    const TransactionHead head = decoded([&] { return decode_head(waiting.raw); });
    sink.begin(head);
    try {
        wire::Reader reader(waiting.raw.data);
        while (!reader.at_end()) sink.changes(decoded([&] { return next_piece(reader, waiting); }));
        inbox_.committing(waiting);
        sink.commit();
    } catch (...) {
        inbox_.give_back(waiting);
        sink.abort();
        throw;
    }
    inbox_.settle(waiting);
    // What large transactions took is given back.
    if (waiting.raw.data.size() > kKeptBytes) piece_ = {};
}

std::span<Change> Handover::next_piece(wire::Reader& reader, const Waiting& waiting) {
    const size_t start = reader.offset();
    size_t count = 0;
    while (!reader.at_end() && reader.offset() - start < kPieceBytes) {
        if (count == piece_.size()) piece_.emplace_back();
        decode_change(reader, waiting.raw.position, *waiting.shapes, piece_[count]);
        count += 1;
    }
    return std::span(piece_).first(count);
}

// True after commit().
bool Handover::piece_into(TransactionSink& sink, const Waiting& waiting) {
    if (waiting.kind == Waiting::Kind::kVoid) {
        const std::unique_ptr<Streamed> streamed = std::move(streamed_);
        if (streamed && streamed->begun) sink.abort();
        return false;
    }
    bool begun = streamed_ && streamed_->begun;
    try {
        if (waiting.kind == Waiting::Kind::kBegin) decoded([&] { begin(waiting); });
        if (waiting.kind == Waiting::Kind::kPart) decoded([&] { add(waiting); });
        if (!begun) sink.begin(streamed_->head);
        begun = streamed_->begun = true;
        changes_into(sink);
        if (waiting.kind != Waiting::Kind::kEnd) return false;
        inbox_.committing(waiting);
        sink.commit();
    } catch (...) {
        streamed_.reset();
        inbox_.give_back(waiting);
        if (begun) sink.abort();
        throw;
    }
    streamed_.reset();
    inbox_.settle(waiting);
    return true;
}

// Also what receive() has put by, when its caller went on with a sink.
void Handover::changes_into(TransactionSink& sink) {
    if (streamed_->count > 0) sink.changes(std::span(streamed_->changes).first(streamed_->count));
    streamed_->count = 0;
    if (streamed_->changes.size() > kKeptChanges) streamed_->changes.clear();
    streamed_->storage->clear();
}

}  // namespace paysync

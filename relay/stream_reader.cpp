// A page's way: rows, raw transactions, their shapes, inspection, ready.
#include "stream_reader.hpp"

#include <algorithm>

#include "calls.hpp"
#include "inspection.hpp"
#include "log.hpp"
#include "metrics.hpp"

namespace paysync::relay {

PagePlace place_after(wire::Bytes page, const PagePlace& place) {
    wire::PageReader chunks(page);
    wire::PageChunk chunk;
    wire::Bytes begun;  // the closing record of the last transaction that begins in it
    uint64_t parts = 0;
    while (chunks.next(chunk)) {
        if (chunk.part == 0) begun = chunk.payload;
        parts = chunk.part == 0 ? 0 : parts + 1;
    }
    if (chunk.number == 0) return place;
    uint64_t recorded = place.parts_left;
    if (!begun.empty()) {
        wire::Closing closing;
        const bool is_read_here = wire::read_closing(begun, closing) && closing.bytes <= wire::kStreamedBytes;
        recorded = is_read_here ? closing.parts : 0;
    }
    if (parts >= recorded) return {chunk.number + 1};
    return {chunk.number, chunk.part, recorded - parts};
}

Worker::Job StreamReader::page(uint64_t head) {
    asked_ = true;
    asked_head_ = head;
    return Worker::Job{next_query(), [weak = weak_from_this(), attempt = attempt_](Answer& answer) {
                           if (const auto self = weak.lock()) self->take_page(answer, attempt);
                       }};
}

PageAhead StreamReader::page_ahead() {
    asked_ = true;
    return PageAhead{next_query(), [weak = weak_from_this(), attempt = attempt_](Answer& answer, uint64_t head) {
                         const auto self = weak.lock();
                         if (!self) return;
                         self->asked_head_ = head;
                         if (!answer.error && head < self->place_.number) {
                             self->asked_ = false;
                         } else {
                             self->take_page(answer, attempt);
                         }
                     }};
}

Query StreamReader::next_query() const {
    const uint64_t bytes = by_row_bytes_ > 0 ? 1 : context_.options.page_bytes;
    return read_page_query(place_.number, place_.after_part, bytes);
}

// What was asked for besides no longer fits.
void StreamReader::begin_again() {
    attempt_ += 1;
    pages_.clear();
    place_ = {assembler_->next_number(), assembler_->after_part(), assembler_->parts_left()};
    retry_at_ = Clock::now() + backoff_.next();
}

void StreamReader::take_page(Answer& answer, uint64_t attempt) {
    asked_ = false;
    if (attempt != attempt_) return;
    if (answer.error) {
        // What an error is about shows once all before it is done with: then it comes again.
        one_by_one_ = true;
        if (answer.lost) {
            begin_again();
        } else if (!settling_ && pages_.empty()) {
            take_error(*answer.error);
        }
        return;
    }
    one_by_one_ = false;
    counters.pages_read += 1;
    // What libpq holds goes with the answer.
    pages_.push_back(std::make_shared<const std::string>(read_page(answer.rows)));
    place_ = place_after(*pages_.back(), place_);
    by_row_bytes_ -= std::min<uint64_t>(by_row_bytes_, pages_.back()->size());
}

void StreamReader::work() {
    while (!pages_.empty() && !settling_) {
        const Storage page = std::move(pages_.front());
        pages_.pop_front();
        assemble(page);
    }
}

void StreamReader::assemble(const Storage& page) {
    settling_ = true;
    wire::PageReader chunks(*page);
    wire::PageChunk chunk;
    bool in_place = true;
    while (in_place && chunks.next(chunk)) {
        counters.bytes_read += chunk.payload.size();
        in_place = assembler_->add(chunk, page, raw_);
    }
    in_place = in_place && chunks.at_end();
    const bool is_empty = chunk.number == 0;
    if (is_empty && assembler_->is_collecting()) {
        assembler_->give_up(raw_);
    } else if (is_empty || !in_place) {
        // What was numbered must be there; a tick with nothing in it is never taken for an empty one.
        log_error("page_out_of_place", {{"number", assembler_->next_number()}, {"bytes", page->size()}});
    }
    if (is_empty || !in_place) {
        begin_again();
    } else {
        backoff_.reset();
    }
    find_manifests();
}

// Without its shapes nothing of a page counts: it is asked for again, and what came after it.
void StreamReader::drop_page() {
    assembler_ = std::make_unique<Assembler>(ready_.last());
    raw_.clear();
    settling_ = false;
    begin_again();
}

void StreamReader::take_error(const DatabaseError& error) {
    const uint64_t number = assembler_->next_number();
    log_error("page_failed", {{"number", number},
                              {"sqlstate", error.sqlstate},
                              {"message", error.message},
                              {"detail", error.detail},
                              {"hint", error.hint}});
    if (error.sqlstate != "PS010" && error.sqlstate != "PS005") {
        begin_again();
        return;
    }
    const bool gone = error.sqlstate == "PS005";
    if (!gone && by_row_bytes_ == 0) {
        // The error is about some transaction of the page; those before it are good.
        by_row_bytes_ = context_.options.page_bytes;
        return;
    }
    // Whoever arrives at this number is told; who has not read so far yet goes on until then.
    by_row_bytes_ = 0;
    auto refused = std::make_shared<Transaction>();
    refused->number = number;
    refused->refusal = Refusal{gone ? wire::Error::kGone : wire::Error::kCorrupt,
                               gone ? number_in(error.detail) : number, error.message, error.detail, error.hint};
    ready_.push(std::move(refused));
    assembler_ = std::make_unique<Assembler>(number);
    place_ = {number + 1};
}

// Of a streamed transaction whose manifest has rows of its own, nothing but those is read here.
void StreamReader::find_manifests() {
    const auto next = std::find_if(raw_.begin(), raw_.end(), [](const RawTransaction& raw) {
        return raw.manifest_parts > 0 && !raw.transaction->refusal;
    });
    if (next == raw_.end()) {
        find_shapes();
    } else if (!context_.worker.up()) {
        drop_page();
    } else {
        context_.worker.submit(read_manifest_query(next->transaction->number, next->manifest_parts),
                               [weak = weak_from_this(), at = next - raw_.begin()](Answer& answer) {
                                   const auto self = weak.lock();
                                   if (self) self->take_manifest(static_cast<size_t>(at), answer);
                               });
    }
}

void StreamReader::take_manifest(size_t at, Answer& answer) {
    RawTransaction& raw = raw_[at];
    const std::string name = "transaction " + std::to_string(raw.transaction->number);
    if (answer.error && answer.error->sqlstate != "PS010") {
        if (!answer.lost) {
            log_error("manifest_failed", {{"number", raw.transaction->number},
                                          {"sqlstate", answer.error->sqlstate},
                                          {"message", answer.error->message}});
        }
        drop_page();
        return;
    }
    std::string joined;
    for (int row = 0; row < answer.rows.count(); ++row) joined += answer.rows.bytes(row, 1);
    if (answer.error) {
        make_corrupt(*raw.transaction, answer.error->message, answer.error->detail);
    } else if (!take_manifest_parts(std::move(joined), raw)) {
        make_corrupt(*raw.transaction, name + " has no readable manifest", "");
    }
    raw.manifest_parts = 0;
    find_manifests();
}

void StreamReader::find_shapes() {
    std::vector<int64_t> missing;
    for (RawTransaction& raw : raw_) {
        resolve_shapes(raw, context_.shapes);
        missing.insert(missing.end(), raw.shapes.begin(), raw.shapes.end());
    }
    if (missing.empty()) {
        inspect_all();
        return;
    }
    std::sort(missing.begin(), missing.end());
    missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
    if (!context_.worker.up()) {
        drop_page();
        return;
    }
    context_.worker.submit(read_shapes_query(missing), [weak = weak_from_this()](Answer& answer) {
        if (const auto self = weak.lock()) self->take_shapes(answer);
    });
}

void StreamReader::take_shapes(Answer& answer) {
    if (answer.error) {
        if (!answer.lost) {
            log_error("shapes_failed", {{"sqlstate", answer.error->sqlstate}, {"message", answer.error->message}});
        }
        drop_page();
        return;
    }
    for (int row = 0; row < answer.rows.count(); ++row) {
        if (!context_.shapes.add(answer.rows.bigint(row, 0), answer.rows.bytes(row, 1))) {
            log_error("shape_unreadable", {{"shape", answer.rows.bigint(row, 0)}});
        }
    }
    inspect_all();
}

void StreamReader::inspect_all() {
    for (RawTransaction& raw : raw_) {
        TransactionPtr transaction = inspect(std::move(raw), context_.shapes, context_.options.verify);
        if (transaction->refusal) {
            log_error("transaction_refused", {{"number", transaction->number},
                                              {"code", static_cast<int>(transaction->refusal->code)},
                                              {"message", transaction->refusal->message},
                                              {"detail", transaction->refusal->detail}});
        }
        ready_.push(std::move(transaction));
    }
    raw_.clear();
    context_.shapes.prune();
    settling_ = false;
    caught_up_ = assembler_->next_number() > asked_head_;
}

}  // namespace paysync::relay

// A page's way: rows, raw transactions, their shapes, inspection, ready.
#include "stream_reader.hpp"

#include <algorithm>

#include "calls.hpp"
#include "inspection.hpp"
#include "log.hpp"
#include "metrics.hpp"

namespace paysync::relay {

Worker::Job StreamReader::page(uint64_t head) {
    busy_ = true;
    asked_head_ = head;
    return Worker::Job{next_query(), [weak = weak_from_this()](Answer& answer) {
                           if (const auto self = weak.lock()) self->take_page(answer);
                       }};
}

PageAhead StreamReader::page_ahead() {
    busy_ = true;
    return PageAhead{next_query(), [weak = weak_from_this()](Answer& answer, uint64_t head) {
                         const auto self = weak.lock();
                         if (!self) return;
                         self->asked_head_ = head;
                         if (!answer.error && head < self->assembler_->next_number()) {
                             self->busy_ = false;
                         } else {
                             self->take_page(answer);
                         }
                     }};
}

Query StreamReader::next_query() const {
    const uint64_t bytes = by_row_ ? 1 : context_.options.page_bytes;
    return read_transactions_query(assembler_->next_number(), assembler_->after_part(), bytes);
}

void StreamReader::pause() {
    busy_ = false;
    retry_at_ = Clock::now() + backoff_.next();
}

void StreamReader::take_page(Answer& answer) {
    if (answer.error) {
        if (answer.lost) {
            pause();
        } else {
            take_error(*answer.error);
        }
        return;
    }
    const Rows& rows = answer.rows;
    counters.pages_read += 1;
    bool in_place = true;
    for (int row = 0; row < rows.count() && in_place; ++row) {
        counters.bytes_read += rows.bytes(row, 5).size();
        in_place = assembler_->add(
            ChunkRow{static_cast<uint64_t>(rows.bigint(row, 0)), static_cast<uint64_t>(rows.bigint(row, 1)),
                     rows.bytes(row, 2), static_cast<uint64_t>(rows.bigint(row, 3)), rows.integer(row, 4),
                     rows.bytes(row, 5)},
            raw_);
    }
    if (rows.count() == 0 && assembler_->is_collecting()) {
        assembler_->give_up(raw_);
    } else if (rows.count() == 0 || !in_place) {
        // What was numbered must be there; a tick with nothing in it is never taken for an empty one.
        log_error("page_out_of_place", {{"number", assembler_->next_number()}, {"rows", rows.count()}});
    }
    find_manifests();
    if (rows.count() == 0 || !in_place) {
        retry_at_ = Clock::now() + backoff_.next();
    } else {
        backoff_.reset();
    }
}

// Without its shapes nothing of a page counts: it is asked for again.
void StreamReader::drop_page() {
    assembler_ = std::make_unique<Assembler>(ready_.last());
    raw_.clear();
    pause();
}

void StreamReader::take_error(const DatabaseError& error) {
    const uint64_t number = assembler_->next_number();
    log_error("page_failed", {{"number", number},
                              {"sqlstate", error.sqlstate},
                              {"message", error.message},
                              {"detail", error.detail},
                              {"hint", error.hint}});
    if (error.sqlstate != "PS010" && error.sqlstate != "PS005") {
        pause();
        return;
    }
    const bool gone = error.sqlstate == "PS005";
    if (!gone && !by_row_) {
        // The error is about some transaction of the page; those before it are good.
        by_row_ = true;
        busy_ = false;
        return;
    }
    // Whoever arrives at this number is told; who has not read so far yet goes on until then.
    by_row_ = false;
    auto refused = std::make_shared<Transaction>();
    refused->number = number;
    refused->refusal = Refusal{gone ? wire::Error::kGone : wire::Error::kCorrupt,
                               gone ? number_in(error.detail) : number, error.message, error.detail, error.hint};
    ready_.push(std::move(refused));
    assembler_ = std::make_unique<Assembler>(number);
    busy_ = false;
}

// Of a streamed transaction whose manifest has rows of its own, nothing but those is read here.
void StreamReader::find_manifests() {
    const auto next = std::find_if(raw_.begin(), raw_.end(), [](const RawTransaction& raw) {
        return raw.manifest_parts > 0 && !raw.transaction.refusal;
    });
    if (next == raw_.end()) {
        find_shapes();
    } else if (!context_.worker.up()) {
        drop_page();
    } else {
        context_.worker.submit(read_manifest_query(next->transaction.number, next->manifest_parts),
                               [weak = weak_from_this(), at = next - raw_.begin()](Answer& answer) {
                                   const auto self = weak.lock();
                                   if (self) self->take_manifest(static_cast<size_t>(at), answer);
                               });
    }
}

void StreamReader::take_manifest(size_t at, Answer& answer) {
    RawTransaction& raw = raw_[at];
    const std::string name = "transaction " + std::to_string(raw.transaction.number);
    if (answer.error && answer.error->sqlstate != "PS010") {
        if (!answer.lost) {
            log_error("manifest_failed", {{"number", raw.transaction.number},
                                          {"sqlstate", answer.error->sqlstate},
                                          {"message", answer.error->message}});
        }
        drop_page();
        return;
    }
    std::string joined;
    for (int row = 0; row < answer.rows.count(); ++row) joined += answer.rows.bytes(row, 1);
    if (answer.error) {
        make_corrupt(raw.transaction, answer.error->message, answer.error->detail);
    } else if (!take_manifest_parts(joined, raw)) {
        make_corrupt(raw.transaction, name + " has no readable manifest", "");
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
    busy_ = false;
    caught_up_ = assembler_->next_number() > asked_head_;
}

}  // namespace paysync::relay

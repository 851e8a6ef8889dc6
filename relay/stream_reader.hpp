// Reads the outbox from a number on, page by page, into a window of transactions that are ready to be packed.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "assembler.hpp"
#include "clock.hpp"
#include "options.hpp"
#include "shapes.hpp"
#include "window.hpp"
#include "worker.hpp"

namespace paysync::relay {

// What all readers have in common.
struct ReaderContext {
    Worker& worker;
    ShapeCache& shapes;
    const Options& options;  // its sizes may change at any time (reload.hpp)
};

// A page that is asked for before its tick is cut. `done` is told where the head stands then: where nothing new has a
// number, nothing is missing.
struct PageAhead {
    Query query;
    std::function<void(Answer&, uint64_t head)> done;
};

// At most one of its statements runs at a time. It may be let go of at any time: answers find it gone.
class StreamReader : public std::enable_shared_from_this<StreamReader> {
public:
    // Goes on after the transaction `number`.
    StreamReader(const ReaderContext& context, uint64_t number)
        : context_(context), ready_(number), assembler_(std::make_unique<Assembler>(number)) {}

    // Whether there is something to be read up to `head`, and nothing under way.
    [[nodiscard]] bool wants_page(uint64_t head, Time now) const {
        return !busy_ && now >= retry_at_ && assembler_->next_number() <= head;
    }
    // The next page; only where wants_page().
    [[nodiscard]] Worker::Job page(uint64_t head);
    // Whether everything up to `head` was read, and nothing is under way.
    [[nodiscard]] bool stands_at(uint64_t head, Time now) const {
        return !busy_ && now >= retry_at_ && assembler_->next_number() == head + 1;
    }
    // The page behind the head; only where stands_at().
    [[nodiscard]] PageAhead page_ahead();

    [[nodiscard]] Window& ready() { return ready_; }
    [[nodiscard]] const Window& ready() const { return ready_; }
    // Whether the last page brought everything there was when it was asked for.
    [[nodiscard]] bool caught_up() const { return caught_up_; }
    // Size of a transaction that is being read over several pages, 0 where there is none.
    [[nodiscard]] uint64_t reading_bytes() const { return assembler_->expected_bytes(); }
    // Bytes held, whole transactions and not.
    [[nodiscard]] size_t bytes() const { return ready_.bytes() + assembler_->held_bytes(); }

private:
    [[nodiscard]] Query next_query() const;
    void take_page(Answer& answer);
    void take_error(const DatabaseError& error);
    void find_manifests();
    void take_manifest(size_t at, Answer& answer);
    void find_shapes();
    void take_shapes(Answer& answer);
    void inspect_all();
    void pause();
    void drop_page();

    ReaderContext context_;
    Window ready_;
    std::unique_ptr<Assembler> assembler_;
    std::deque<RawTransaction> raw_;
    bool busy_ = false;
    bool by_row_ = false;  // to find which transaction of a page is damaged
    bool caught_up_ = false;
    uint64_t asked_head_ = 0;
    Backoff backoff_;
    Time retry_at_{};
};

}  // namespace paysync::relay

// Reads the outbox from a number on, page by page, into a window of transactions that are ready to be packed. While a
// page is worked on, the server is at the next one.
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

// What the next page is to be asked for: behind the last chunk that came, but past the rest of a transaction that is
// streamed.
struct PagePlace {
    uint64_t number = 0;
    int32_t after_part = -1;
    uint64_t parts_left = 0;  // of that transaction, as it was recorded
};
// The place after `page`, which was asked for at `place`.
[[nodiscard]] PagePlace place_after(wire::Bytes page, const PagePlace& place);

// At most one page is asked for at a time; manifests and shapes of an earlier one may be under way beside it. It may be
// let go of at any time: answers find it gone.
class StreamReader : public std::enable_shared_from_this<StreamReader> {
public:
    // Goes on after the transaction `number`.
    StreamReader(const ReaderContext& context, uint64_t number)
        : context_(context), ready_(number), assembler_(std::make_unique<Assembler>(number)), place_{number + 1} {}

    // Whether there is something to be read up to `head`, and room for it: one page may be asked for while another
    // waits.
    [[nodiscard]] bool wants_page(uint64_t head, Time now) const {
        return !asked_ && has_room() && now >= retry_at_ && place_.number <= head;
    }
    // The next page; only where wants_page().
    [[nodiscard]] Worker::Job page(uint64_t head);
    // Whether a page was asked for up to `head` and came, and the one behind it may be asked for.
    [[nodiscard]] bool stands_at(uint64_t head, Time now) const {
        return !asked_ && has_room() && now >= retry_at_ && place_.number == head + 1;
    }
    // The page behind the head; only where stands_at().
    [[nodiscard]] PageAhead page_ahead();
    // Makes transactions of pages that came, unless something is still looked up for an earlier one. Apart from their
    // coming, so that the next one is asked for first.
    void work();

    [[nodiscard]] Window& ready() { return ready_; }
    [[nodiscard]] const Window& ready() const { return ready_; }
    // Whether the last page brought everything up to the head that it was asked up to.
    [[nodiscard]] bool caught_up() const { return caught_up_; }
    // Size of a transaction that is being read over several pages, 0 where there is none.
    [[nodiscard]] uint64_t reading_bytes() const { return assembler_->expected_bytes(); }
    // Bytes held, whole transactions and not.
    [[nodiscard]] size_t bytes() const {
        size_t waiting = 0;
        for (const Storage& page : pages_) waiting += page->size();
        return ready_.bytes() + assembler_->held_bytes() + waiting;
    }

private:
    static constexpr size_t kPagesAhead = 2;

    [[nodiscard]] bool has_room() const {
        return one_by_one_ ? pages_.empty() && !settling_ : pages_.size() < kPagesAhead;
    }
    [[nodiscard]] Query next_query() const;
    void take_page(Answer& answer, uint64_t attempt);
    void take_error(const DatabaseError& error);
    void assemble(const Storage& page);
    void begin_again();
    void find_manifests();
    void take_manifest(size_t at, Answer& answer);
    void find_shapes();
    void take_shapes(Answer& answer);
    void inspect_all();
    void drop_page();

    ReaderContext context_;
    Window ready_;
    std::unique_ptr<Assembler> assembler_;
    std::deque<RawTransaction> raw_;
    PagePlace place_;
    bool asked_ = false;         // a page is under way
    std::deque<Storage> pages_;  // came, and were not begun yet
    bool settling_ = false;      // something is still looked up for the page before them
    bool one_by_one_ = false;    // after an error: no page is asked for while there is another
    uint64_t attempt_ = 0;       // pages that were asked for in an earlier one are dropped
    uint64_t by_row_bytes_ = 0;  // of a page that is read row by row, to find which transaction of it is damaged
    bool caught_up_ = false;
    uint64_t asked_head_ = 0;
    Backoff backoff_;
    Time retry_at_{};
};

}  // namespace paysync::relay

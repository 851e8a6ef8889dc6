// Transactions with consecutive numbers, the oldest at the front: what sessions at the head share, and what a session
// that reads for itself has read ahead.
#pragma once

#include <deque>

#include "transaction.hpp"

namespace paysync::relay {

class Window {
public:
    // Empty, to go on after `number`.
    explicit Window(uint64_t number = 0) : first_(number + 1) {}

    void reset(uint64_t number);
    // `transaction` must have the number last() + 1.
    void push(TransactionPtr transaction);
    // Lets go of everything up to `number`.
    void drop_through(uint64_t number);
    // Lets go of the oldest until at most `limit` bytes are left, but keeps the newest.
    void shrink_to(size_t limit);

    // Number of the first transaction held, or of the one that comes next where none is.
    [[nodiscard]] uint64_t first() const { return first_; }
    [[nodiscard]] uint64_t last() const { return first_ + entries_.size() - 1; }
    [[nodiscard]] bool empty() const { return entries_.empty(); }
    [[nodiscard]] size_t bytes() const;
    // Bytes of the transactions after `number`.
    [[nodiscard]] size_t bytes_after(uint64_t number) const;
    // Whether somebody who has everything up to `number` can go on from here.
    [[nodiscard]] bool reaches(uint64_t number) const { return number + 1 >= first_ && number <= last(); }
    // first() <= number <= last().
    [[nodiscard]] const TransactionPtr& at(uint64_t number) const { return entries_[number - first_].transaction; }

private:
    struct Entry {
        TransactionPtr transaction;
        uint64_t sum_before;  // bytes of all that were ever pushed before it
    };
    uint64_t first_;
    uint64_t sum_ = 0;
    std::deque<Entry> entries_;
};

}  // namespace paysync::relay

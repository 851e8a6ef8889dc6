// Running sums make "how much lies behind this number" one subtraction.
#include "window.hpp"

namespace paysync::relay {

void Window::reset(uint64_t number) {
    entries_.clear();
    first_ = number + 1;
}

void Window::push(TransactionPtr transaction) {
    const size_t weight = transaction->weight();
    entries_.push_back(Entry{std::move(transaction), sum_});
    sum_ += weight;
}

void Window::drop_through(uint64_t number) {
    while (!entries_.empty() && first_ <= number) {
        entries_.pop_front();
        first_ += 1;
    }
}

void Window::shrink_to(size_t limit) {
    while (entries_.size() > 1 && bytes() > limit) {
        entries_.pop_front();
        first_ += 1;
    }
}

size_t Window::bytes() const { return entries_.empty() ? 0 : sum_ - entries_.front().sum_before; }

size_t Window::bytes_after(uint64_t number) const {
    if (number < first_) return bytes();
    return number >= last() ? 0 : sum_ - entries_[number + 1 - first_].sum_before;
}

}  // namespace paysync::relay

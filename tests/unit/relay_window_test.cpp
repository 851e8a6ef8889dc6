// The window holds consecutive numbers, is bounded in bytes and always keeps its newest transaction.
#include <gtest/gtest.h>

#include "relay/window.hpp"

namespace paysync::relay {
namespace {

TransactionPtr transaction(uint64_t number, size_t bytes) {
    auto made = std::make_shared<Transaction>();
    made->number = number;
    made->keep(std::string(bytes, 'x'));
    return made;
}

TEST(RelayWindow, GoesOnAfterItsNumber) {
    Window window(7);
    EXPECT_EQ(window.first(), 8U);
    EXPECT_EQ(window.last(), 7U);
    EXPECT_TRUE(window.reaches(7));
    EXPECT_FALSE(window.reaches(6));
    EXPECT_FALSE(window.reaches(8));
    window.push(transaction(8, 1));
    EXPECT_EQ(window.at(8)->number, 8U);
    EXPECT_TRUE(window.reaches(8));
}

TEST(RelayWindow, CountsBytesBehindANumber) {
    Window window(0);
    for (uint64_t number = 1; number <= 4; ++number) window.push(transaction(number, 1000));
    const size_t each = window.bytes() / 4;
    EXPECT_EQ(window.bytes_after(0), 4 * each);
    EXPECT_EQ(window.bytes_after(3), each);
    EXPECT_EQ(window.bytes_after(4), 0U);
    EXPECT_EQ(window.bytes_after(9), 0U);
    window.drop_through(2);
    EXPECT_EQ(window.bytes(), 2 * each);
    EXPECT_EQ(window.bytes_after(0), 2 * each);
}

TEST(RelayWindow, ShrinksFromTheOldestAndKeepsTheNewest) {
    Window window(0);
    for (uint64_t number = 1; number <= 10; ++number) window.push(transaction(number, 1000));
    window.shrink_to(window.bytes() / 2);
    EXPECT_EQ(window.first(), 6U);
    window.shrink_to(0);
    EXPECT_EQ(window.first(), 10U);
    EXPECT_EQ(window.last(), 10U);
    window.reset(99);
    EXPECT_TRUE(window.empty());
    EXPECT_EQ(window.first(), 100U);
}

}  // namespace
}  // namespace paysync::relay

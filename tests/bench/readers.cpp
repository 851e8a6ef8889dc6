// Many subscribers in one process, for benchmarks: each says when a transaction came.
//
// Usage: readers RELAY PREFIX COUNT [idle]. Subscribers are PREFIX0, PREFIX1 …. Prints "ready" once all have a session
// and have caught up, then for each transaction the first column of its first row and the monotonic clock in
// nanoseconds. Idle ones have a session and take nothing. Ends by a signal, or with status 1 when a subscription ends
// or what it waits for does not come.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "paysync.hpp"

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kDeadline{10};  // a backlog may lie before a subscriber

// Looks until the condition holds; ends the program where that is not so in time.
template <typename Condition>
void wait_for(Condition condition, const char* what) {
    const auto ends = Clock::now() + kDeadline;
    while (!condition()) {
        if (Clock::now() >= ends) {
            std::fprintf(stderr, "%s: not in time\n", what);
            std::_Exit(1);
        }
        std::this_thread::sleep_for(milliseconds(5));
    }
}

// The first column of the first row, where that is an integer; else -1.
int64_t first_value(const paysync::Transaction& transaction) {
    for (const paysync::Change& change : transaction.changes) {
        if (change.new_values.empty()) continue;
        const auto* const value = std::get_if<int64_t>(&change.new_values.front());
        if (value != nullptr) return *value;
    }
    return -1;
}

// Reads for ever. Lines are buffered: the reader at the other end of the file comes after the slice.
void read_all(paysync::Subscriber& subscriber, std::atomic<int>& waiting, std::mutex& printing) {
    bool has_caught_up = false;
    for (;;) {
        const auto transaction = subscriber.receive(milliseconds(100));
        const auto now = Clock::now().time_since_epoch();
        if (transaction) subscriber.acknowledge(transaction->position);
        if (has_caught_up && transaction) {
            const std::lock_guard guard(printing);
            std::printf("%lld %lld\n", static_cast<long long>(first_value(*transaction)),
                        static_cast<long long>(std::chrono::nanoseconds(now).count()));
        }
        if (!transaction) {
            const std::lock_guard guard(printing);
            std::fflush(stdout);
        }
        if (!has_caught_up && subscriber.session() && subscriber.caught_up()) {
            has_caught_up = true;
            waiting -= 1;
        }
    }
}

int run(const std::string& relay, const std::string& prefix, int count, bool is_idle) {
    std::vector<std::unique_ptr<paysync::Subscriber>> subscribers;
    for (int i = 0; i < count; ++i) {
        paysync::Options options;
        options.relays = {relay};
        options.subscriber = prefix + std::to_string(i);
        subscribers.push_back(std::make_unique<paysync::Subscriber>(options));
    }
    std::atomic<int> waiting = count;
    std::mutex printing;
    std::vector<std::thread> threads;
    for (auto& subscriber : subscribers) {
        if (is_idle) {
            wait_for([&subscriber] { return subscriber->session().has_value(); }, "a session");
            continue;
        }
        threads.emplace_back([&subscriber, &waiting, &printing] {
            try {
                read_all(*subscriber, waiting, printing);
            } catch (const std::exception& error) {
                std::fprintf(stderr, "%s\n", error.what());
                std::_Exit(1);
            }
        });
    }
    if (!is_idle) wait_for([&waiting] { return waiting == 0; }, "the end of what lay before them");
    {
        const std::lock_guard guard(printing);
        std::puts("ready");
        std::fflush(stdout);
    }
    for (;;) pause();  // until a signal ends us
}

}  // namespace

int main(int count, char** words) {
    if (count < 4) {
        std::fprintf(stderr, "usage: readers RELAY PREFIX COUNT [idle]\n");
        return 2;
    }
    return run(words[1], words[2], std::atoi(words[3]), count > 4);
}

// A subscriber that counts, for benchmarks: takes transactions piece by piece, acknowledges each, and does nothing
// else.
//
// Usage: drainer RELAY SUBSCRIBER CHANGES. Prints "ready" once it has a session. Ends after so many changes and prints
// "took CHANGES NANOSECONDS TRANSACTIONS", counted from before it connects; 0 never ends.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "monotonic.hpp"
#include "paysync.hpp"

namespace {

class Counter : public paysync::TransactionSink {
public:
    void begin(const paysync::TransactionHead& head) override {
        position_ = head.position;
        under_way_ = 0;
    }
    void changes(std::span<paysync::Change> changes) override { under_way_ += changes.size(); }
    void commit() override {
        changes_ += under_way_;
        transactions_ += 1;
    }
    void abort() override {}

    [[nodiscard]] const paysync::Position& position() const { return position_; }
    [[nodiscard]] uint64_t changes() const { return changes_; }
    [[nodiscard]] uint64_t transactions() const { return transactions_; }

private:
    paysync::Position position_;
    uint64_t under_way_ = 0;
    uint64_t changes_ = 0;
    uint64_t transactions_ = 0;
};

void run(const std::string& relay, const std::string& name, uint64_t goal) {
    const int64_t began = bench::monotonic();
    paysync::Options options;
    options.relays = {relay};
    options.subscriber = name;
    paysync::Subscriber subscriber(options);
    Counter counter;
    bool is_ready = false;
    while (goal == 0 || counter.changes() < goal) {
        if (subscriber.receive_into(counter, std::chrono::milliseconds(100))) {
            subscriber.acknowledge(counter.position());
        }
        if (!is_ready && subscriber.session()) {
            is_ready = true;
            std::puts("ready");
            std::fflush(stdout);
        }
    }
    std::printf("took %llu %lld %llu\n", static_cast<unsigned long long>(counter.changes()),
                static_cast<long long>(bench::monotonic() - began),
                static_cast<unsigned long long>(counter.transactions()));
    std::fflush(stdout);
    subscriber.stop();
}

}  // namespace

int main(int count, char** words) {
    if (count != 4) {
        std::fprintf(stderr, "usage: drainer RELAY SUBSCRIBER CHANGES\n");
        return 2;
    }
    try {
        run(words[1], words[2], std::strtoull(words[3], nullptr, 10));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

// The writer of latency benchmarks: commits payments at a mean rate, at random distances, and notes when.
//
// Usage: pace CONNINFO RATE SECONDS CONNECTIONS SEED FIRST. One autocommitted insert after another, each at the moment
// that the chance chose before, whether the one before it was quick or not. Ids begin at FIRST. Prints for each its id,
// when the statement was sent and when its COMMIT was answered, in nanoseconds of the monotonic clock.
#include <sys/prctl.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <latch>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "monotonic.hpp"
#include "pq.hpp"

namespace {

constexpr int64_t kSecond = 1'000'000'000;
// Ids of one connection.
constexpr int64_t kShare = 100'000'000;
// The row of workloads.py.
constexpr const char* kInsert =
    "insert into payments values ($1, 7, 12.50, 'EUR', 'pending', now(), now(), 'order-2026-11-23-000000000001-web', "
    "'{\"channel\": \"web\", \"attempt\": 1, \"device\": \"android\", \"address\": \"192.0.2.17\", "
    "\"session\": \"8f14e45fceea167a\"}', '00000000-0000-0000-0000-000000000001')";

struct Commit {
    int64_t id;
    int64_t sent;
    int64_t answered;
};

struct Plan {
    std::string conninfo;
    double rate;  // of one connection
    int64_t duration;
    unsigned seed;
    int64_t first;
};

void sleep_until(int64_t due) {
    const timespec until{due / kSecond, due % kSecond};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) != 0) {
    }
}

std::vector<Commit> write_payments(const Plan& plan, std::latch& all_ready) {
    // Without it the kernel lets every sleep run 50 us over.
    prctl(PR_SET_TIMERSLACK, 1);
    const bench::Connection connection = bench::connect(plan.conninfo);
    const bench::Prepared insert(connection.get(), "insert", kInsert);
    std::mt19937 chance(plan.seed);
    std::exponential_distribution<double> distance(plan.rate);
    std::vector<Commit> commits;
    commits.reserve(static_cast<size_t>(plan.rate * static_cast<double>(plan.duration / kSecond + 1) * 1.5) + 100);
    all_ready.arrive_and_wait();
    int64_t due = bench::monotonic();
    const int64_t end = due + plan.duration;
    for (int64_t id = plan.first;; ++id) {
        due += static_cast<int64_t>(distance(chance) * static_cast<double>(kSecond));
        if (due >= end) return commits;
        sleep_until(due);
        const int64_t sent = bench::monotonic();
        insert.run({std::to_string(id)});
        commits.push_back({id, sent, bench::monotonic()});
    }
}

int run(const char* const* words) {
    const int connections = std::atoi(words[4]);
    std::latch all_ready(connections);
    std::vector<std::vector<Commit>> commits(static_cast<size_t>(connections));
    std::vector<std::thread> threads;
    for (int i = 0; i < connections; ++i) {
        const Plan plan{words[1], std::atof(words[2]) / connections,
                        static_cast<int64_t>(std::atof(words[3]) * kSecond),
                        static_cast<unsigned>(std::atoi(words[5]) + i), std::atoll(words[6]) + i * kShare};
        threads.emplace_back([plan, &all_ready, &mine = commits[static_cast<size_t>(i)]] {
            try {
                mine = write_payments(plan, all_ready);
            } catch (const std::exception& error) {
                std::fprintf(stderr, "%s\n", error.what());
                std::_Exit(1);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& of_one : commits) {
        for (const Commit& commit : of_one) {
            std::printf("%lld %lld %lld\n", static_cast<long long>(commit.id), static_cast<long long>(commit.sent),
                        static_cast<long long>(commit.answered));
        }
    }
    return 0;
}

}  // namespace

int main(int count, char** words) {
    if (count != 7) {
        std::fprintf(stderr, "usage: pace CONNINFO RATE SECONDS CONNECTIONS SEED FIRST\n");
        return 2;
    }
    return run(words);
}

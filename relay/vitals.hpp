// What the loop tells the thread that serves HTTP: that it turns, and from time to time a report. Neither side ever
// waits for the other for longer than the copying of a pointer.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "clock.hpp"
#include "metrics.hpp"

namespace paysync::relay {

// A durable subscriber as the database saw it.
struct SubscriberSample {
    std::string name;
    std::string state;
    int64_t lag_transactions = 0;
    int64_t lag_bytes = 0;
    int64_t lag_ms = 0;  // age of the oldest transaction that it has not acknowledged; 0: it has everything
    int64_t parked = 0;  // transactions that it was told to skip
};

// What the database said when it was asked last. Ages are in milliseconds, -1 where there is none.
struct Sample {
    Time at{};
    std::vector<SubscriberSample> subscribers;
    std::string status;  // paysync.status.state
    int64_t outbox_bytes = 0;
    int64_t outbox_limit = 0;  // 0: none
    int64_t last_tick_age_ms = -1;
    int64_t unticked_transactions = 0;
    int64_t unticked_ms = 0;
};
using SamplePtr = std::shared_ptr<const Sample>;

enum class Readiness { kStarting, kStandby, kDatabaseAway, kCheckingHistory, kServing, kDraining };

struct Report {
    std::string version;
    std::string database;
    Readiness readiness = Readiness::kStarting;
    bool leads = false;
    bool database_up = false;
    uint64_t epoch = 0;  // 0 while it does not lead
    uint64_t head = 0;
    uint64_t sessions_at_head = 0;
    uint64_t sessions_behind = 0;
    uint64_t window_bytes = 0;
    uint64_t window_limit = 0;
    Counters counters;
    SamplePtr sample;  // null on a relay that stands by
};
using ReportPtr = std::shared_ptr<const Report>;

class Vitals {
public:
    // By the loop, each time it turns.
    void turned(Time now) { last_turn_.store(now.time_since_epoch().count(), std::memory_order_relaxed); }
    void publish(Report report) {
        ReportPtr next = std::make_shared<const Report>(std::move(report));
        const std::lock_guard lock(mutex_);
        report_.swap(next);
    }

    // By anybody.
    [[nodiscard]] Time last_turn() const { return Time(Duration(last_turn_.load(std::memory_order_relaxed))); }
    // Never null.
    [[nodiscard]] ReportPtr report() const {
        const std::lock_guard lock(mutex_);
        return report_;
    }

private:
    std::atomic<Duration::rep> last_turn_{Clock::now().time_since_epoch().count()};
    mutable std::mutex mutex_;
    ReportPtr report_ = std::make_shared<const Report>();
};

}  // namespace paysync::relay

// What the relay's operators see and say: signals, reload, readiness, the report for HTTP.
#include <csignal>

#include "log.hpp"
#include "pages.hpp"
#include "relay.hpp"
#include "reload.hpp"
#include "version.hpp"

namespace paysync::relay {

namespace {

constexpr milliseconds kReportEvery{500};

}  // namespace

void Relay::obey(uint32_t signal) {
    log_info("signal", {{"number", signal}});
    if (signal == SIGHUP) {
        if (phase_ != Phase::kRunning) return;
        supervisor_.reloading();
        (reload(options_, read_options_) ? counters.reloads : counters.reloads_failed) += 1;
        supervisor_.reloaded();
    } else if (phase_ == Phase::kRunning) {
        phase_ = Phase::kCollecting;
        drain_since_ = Clock::now();
        supervisor_.stopping();
        leader_.stop_ticks();
        for (auto& [id, session] : sessions_.all()) {
            if (!session->ended) router_.send_bye(session->routing_id, session->id, 1000, "drain");
        }
    } else {
        phase_ = Phase::kDone;
    }
}

Readiness Relay::readiness() const {
    if (phase_ != Phase::kRunning) return Readiness::kDraining;
    if (stream_.serving) return Readiness::kServing;
    if (!leader_.connection().is_up()) return reached_ ? Readiness::kDatabaseAway : Readiness::kStarting;
    if (refused_since_) return Readiness::kStandby;
    return leader_.leading() ? Readiness::kCheckingHistory : Readiness::kStarting;
}

std::string Relay::status_text() const {
    const char* const reason = reason_not_ready(readiness());
    return reason != nullptr ? reason : "serving " + leader_.connection().database() + " at " + router_.endpoint();
}

void Relay::report(Time now) {
    vitals_.turned(now);
    log_suppressed(now);
    // The other relay knows the subscribers now; lags that grow here would say what is not so.
    if (refused_since_ && now - *refused_since_ >= kElsewhereAfter) observer_.forget();
    const Readiness current = readiness();
    if (current == reported_ && now - reported_at_ < kReportEvery) return;
    if (current != reported_ && announced_ && phase_ == Phase::kRunning) supervisor_.status(status_text());
    reported_ = current;
    reported_at_ = now;
    Report report;
    report.version = kRelayVersion;
    report.database = leader_.connection().database();
    report.readiness = current;
    report.leads = leader_.leading();
    report.database_up = leader_.connection().is_up();
    report.epoch = leader_.epoch();
    report.head = stream_.head;
    for (const auto& [id, session] : sessions_.all()) {
        if (!session->ended) (session->is_live() ? report.sessions_at_head : report.sessions_behind) += 1;
    }
    report.window_bytes = delivery_.window_bytes();
    report.window_limit = options_.window_bytes;
    report.counters = counters;
    report.sample = observer_.sample();
    vitals_.publish(std::move(report));
}

}  // namespace paysync::relay

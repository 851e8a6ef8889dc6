// The relay: one thread, one loop over sockets, timers and signals. Owns all parts and decides what a change in one
// means for the others.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>

#include "acknowledger.hpp"
#include "admission.hpp"
#include "continuity.hpp"
#include "delivery.hpp"
#include "failure.hpp"
#include "http_server.hpp"
#include "identity.hpp"
#include "leader.hpp"
#include "observer.hpp"
#include "options.hpp"
#include "protocol.hpp"
#include "revisions.hpp"
#include "router.hpp"
#include "sessions.hpp"
#include "shapes.hpp"
#include "stream.hpp"
#include "supervisor.hpp"
#include "vitals.hpp"
#include "worker.hpp"

namespace paysync::relay {

class Relay {
public:
    // Binds the endpoint and the address of HTTP; throws Failure where that is not possible. `signals`: a signalfd of
    // SIGTERM, SIGINT and SIGHUP; at the last the options are read again with `read_options`.
    Relay(const Options& options, int signals, std::function<Options()> read_options);

    // Statements of sessions that are still there must not find parts that are gone.
    ~Relay();

    // Runs until a signal has been obeyed. Throws Failure where it cannot go on.
    void run();

private:
    static constexpr size_t kWorkers = 3;
    enum class Phase { kRunning, kCollecting, kWriting, kDone };

    void connect_parts();
    // What the database does.
    void take_lead(const LeadRow& row);
    void check_history();
    void go_on(bool same_history);
    void take_head();
    [[nodiscard]] bool may_read() const { return stream_.ever_served && !new_lead_ && phase_ == Phase::kRunning; }
    void lose_leader(const DatabaseError& error, bool was_up);
    void lose_worker(const DatabaseError& error, bool was_up);
    void end_stale(Session& session);
    void lead_refused(const DatabaseError& error);
    void fenced(const DatabaseError& error);
    [[noreturn]] void fail_at_start(const DatabaseError& error) const;
    void update_serving();
    void maintain(Time now);
    // Its operators (relay_operations.cpp).
    void obey(uint32_t signal);
    void report(Time now);
    [[nodiscard]] Readiness readiness() const;
    [[nodiscard]] std::string status_text() const;
    // The loop.
    void wait_and_turn();
    void turn(Time now, bool leader_ready, const std::array<bool, kWorkers>& workers_ready);
    void receive_all(Time now);
    [[nodiscard]] milliseconds patience(Time now) const;
    void dismiss_all(const std::string& reason, uint64_t retry_ms);
    void drain(Time now);

    static constexpr seconds kElsewhereAfter{10};  // another relay leads: what is here is over

    Options options_;
    const int signals_;
    const std::function<Options()> read_options_;
    zmq::context_t context_;
    Identity identity_;  // before the router: see there
    Router router_;
    ShapeCache shapes_;
    Stream stream_;
    Leader leader_;
    Worker worker_;  // for statements, and for pages at the head
    Worker reader_;  // for pages of sessions that are behind
    Worker sorter_;  // for transactions that must be put in order: sorting takes its time
    const std::array<Worker*, kWorkers> workers_{&worker_, &reader_, &sorter_};
    Sessions sessions_;
    Delivery delivery_;
    Acknowledger acknowledger_;
    Admission admission_;
    Protocol protocol_;
    Continuity continuity_;
    Revisions revisions_;
    Supervisor supervisor_;
    Observer observer_;
    Vitals vitals_;
    std::unique_ptr<HttpServer> http_;  // null without one; after what its thread reads

    std::optional<LeadRow> new_lead_;    // taken, but its history not compared yet
    Time history_at_{};                  // not before then
    std::optional<Time> refused_since_;  // another relay leads
    std::optional<Failure> failure_;
    bool reached_ = false;  // the database was there once, so its absence is no mistake of configuration
    bool announced_ = false;
    bool wait_logged_ = false;
    bool moved_ = false;  // numbers moved since the last maintain()
    Time maintained_{};
    bool maintaining_ = false;
    bool more_to_send_ = false;
    Phase phase_ = Phase::kRunning;
    Time drain_since_{};
    Readiness reported_ = Readiness::kStarting;
    Time reported_at_{};
};

}  // namespace paysync::relay

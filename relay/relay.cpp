// The loop: wait, receive, let the database go on, send, look at the clock. What the database's events mean is in
// relay_database.cpp.
#include "relay.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <array>

#include "log.hpp"

namespace paysync::relay {

namespace {

constexpr int kReceivesPerTurn = 1000;
constexpr milliseconds kCollectTime{300};
constexpr seconds kDrainTime{5};
constexpr seconds kMaintainEvery{1};
constexpr seconds kMaintainInSilence{10};
constexpr int kLingerMs = 1000;

}  // namespace

Relay::Relay(const Options& options, int signals, std::function<Options()> read_options)
    : options_(options),
      signals_(signals),
      read_options_(std::move(read_options)),
      identity_(context_),
      router_(context_, options_.bind),
      leader_(options_.dsn),
      worker_(options_.dsn, "paysync-relay worker"),
      reader_(options_.dsn, "paysync-relay reader"),
      sorter_(options_.dsn, "paysync-relay sorter"),
      delivery_(
          options_,
          Delivery::Readers{{worker_, shapes_, options_}, {reader_, shapes_, options_}, {sorter_, shapes_, options_}},
          stream_, sessions_, router_),
      acknowledger_(worker_, sessions_),
      admission_(stream_, sessions_, delivery_, router_, worker_),
      protocol_(stream_, sessions_, admission_, acknowledger_, router_),
      continuity_(worker_),
      revisions_(worker_, sessions_),
      observer_(worker_) {
    connect_parts();
    if (options_.http.empty()) return;
    http_ = std::make_unique<HttpServer>(options_.http, vitals_);
    log_info("http", {{"address", http_->address()}});
}

Relay::~Relay() {
    for (Worker* const worker : workers_) worker->stop();
}

void Relay::run() {
    leader_.start(Clock::now());
    while (phase_ != Phase::kDone && !failure_) wait_and_turn();
    leader_.close();
    for (Worker* const worker : workers_) worker->stop();
    router_.close(kLingerMs);
    identity_.close();
    if (failure_) throw Failure(*failure_);
}

void Relay::wait_and_turn() {
    const auto item_of = [](const Connection& connection) {
        return zmq_pollitem_t{nullptr, connection.socket(),
                              static_cast<short>(ZMQ_POLLIN | (connection.wants_write() ? ZMQ_POLLOUT : 0)), 0};
    };
    std::array<zmq_pollitem_t, 4 + kWorkers> items = {zmq_pollitem_t{router_.handle(), 0, ZMQ_POLLIN, 0},
                                                      zmq_pollitem_t{identity_.handle(), 0, ZMQ_POLLIN, 0},
                                                      zmq_pollitem_t{nullptr, signals_, ZMQ_POLLIN, 0}};
    size_t count = 3;
    // A connection that is not there has no descriptor to wait for.
    size_t leader_item = 0;
    std::array<size_t, kWorkers> worker_items{};
    if (leader_.connection().socket() >= 0) items[leader_item = count++] = item_of(leader_.connection());
    for (size_t i = 0; i < kWorkers; ++i) {
        const Connection& connection = workers_[i]->connection();
        if (connection.socket() >= 0) items[worker_items[i] = count++] = item_of(connection);
    }
    const milliseconds timeout = patience(Clock::now());
    if (zmq_poll(items.data(), static_cast<int>(count), static_cast<long>(timeout.count())) < 0 &&
        zmq_errno() != EINTR) {
        throw zmq::error_t();
    }
    if ((items[2].revents & ZMQ_POLLIN) != 0) {
        signalfd_siginfo info{};
        if (read(signals_, &info, sizeof info) == sizeof info) obey(info.ssi_signo);
    }
    const auto is_ready = [&items](size_t item) { return item != 0 && items[item].revents != 0; };
    std::array<bool, kWorkers> workers_ready{};
    for (size_t i = 0; i < kWorkers; ++i) workers_ready[i] = is_ready(worker_items[i]);
    turn(Clock::now(), is_ready(leader_item), workers_ready);
}

void Relay::turn(Time now, bool leader_ready, const std::array<bool, kWorkers>& workers_ready) {
    identity_.answer_all();
    receive_all(now);
    leader_.progress(now, leader_ready);
    for (size_t i = 0; i < kWorkers; ++i) workers_[i]->progress(now, workers_ready[i]);
    check_history();
    update_serving();
    admission_.check(now);
    sessions_.check(now, [this](Session& session) { protocol_.ping(session); });
    if (phase_ == Phase::kRunning) {
        // Between the taking of the lease and the comparison of histories nothing leaves.
        more_to_send_ = !new_lead_ && delivery_.pump(now);
        leader_.kick();
        acknowledger_.run(leader_.epoch(), now);
        maintain(now);
        revisions_.run(now, stream_.serving);
    } else {
        more_to_send_ = false;
        drain(now);
    }
    if (refused_since_ && now - *refused_since_ >= kElsewhereAfter && !sessions_.empty()) {
        dismiss_all("another relay leads", 1000);
    }
    sessions_.sweep();
    observer_.run(now, stream_.serving);
    for (Worker* const worker : workers_) worker->kick();
    report(now);
    supervisor_.alive(now);
}

// Ended pipes show only where something is received, so this also finds out who is gone.
void Relay::receive_all(Time now) {
    Incoming message;
    for (int i = 0; i < kReceivesPerTurn && router_.receive(message); ++i) protocol_.receive(message, now);
}

milliseconds Relay::patience(Time now) const {
    if (more_to_send_) return milliseconds(0);
    // A peer whose queue is full says nothing when it has room again.
    if (delivery_.is_blocked()) return milliseconds(5);
    milliseconds longest(1000);
    const bool ticking = !sessions_.empty() || phase_ != Phase::kRunning || new_lead_ || !announced_ ||
                         leader_.connection().state() == Connection::State::kConnecting ||
                         worker_.connection().state() == Connection::State::kConnecting;
    if (ticking) longest = milliseconds(phase_ == Phase::kRunning ? 50 : 10);
    for (const Time at : {leader_.retry_at(), worker_.reconnect_at(), reader_.reconnect_at(), sorter_.reconnect_at()}) {
        if (at == Time::max()) continue;
        longest = std::min(longest, std::max(milliseconds(0), std::chrono::ceil<milliseconds>(at - now)));
    }
    return longest;
}

void Relay::dismiss_all(const std::string& reason, uint64_t retry_ms) {
    for (auto& [id, session] : sessions_.all()) {
        if (session->ended) continue;
        router_.send_bye(session->routing_id, session->id, retry_ms, reason);
        sessions_.end(*session, reason);
    }
}

// BYE has gone out; what subscribers still acknowledge is collected for a moment, then written.
void Relay::drain(Time now) {
    if (phase_ == Phase::kCollecting) {
        sessions_.sweep();
        if (!sessions_.empty() && now - drain_since_ < kCollectTime) return;
        for (auto& [id, session] : sessions_.all()) sessions_.end(*session, "drain");
        phase_ = Phase::kWriting;
    }
    if (phase_ != Phase::kWriting) return;
    const bool can_write = leader_.epoch() != 0 && worker_.up();
    if (can_write) acknowledger_.run(leader_.epoch(), now, true);
    if (!can_write || (acknowledger_.settled() && worker_.idle()) || now - drain_since_ >= kDrainTime) {
        log_info("drained", {{"acknowledged", can_write && acknowledger_.settled() ? "all" : "not all"}});
        phase_ = Phase::kDone;
    }
}

void Relay::maintain(Time now) {
    moved_ = acknowledger_.take_moved() || moved_;
    // In silence too, now and then: heartbeats are rows, and a segment that was locked once may be free now.
    const Duration pause = moved_ ? Duration(kMaintainEvery) : Duration(kMaintainInSilence);
    if (maintaining_ || !stream_.serving || now - maintained_ < pause) return;
    moved_ = false;
    maintaining_ = true;
    maintained_ = now;
    worker_.submit(maintain_query(), [this](Answer& answer) {
        maintaining_ = false;
        if (!answer.error || answer.lost) return;
        log_error("maintain_failed", {{"sqlstate", answer.error->sqlstate},
                                      {"message", answer.error->message},
                                      {"detail", answer.error->detail},
                                      {"hint", answer.error->hint}});
    });
}

}  // namespace paysync::relay

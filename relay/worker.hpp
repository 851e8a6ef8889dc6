// A connection for everything but ticks: a queue of short statements and pages of the outbox, one at a time.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "connection.hpp"

namespace paysync::relay {

class Worker {
public:
    struct Job {
        Query query;
        Done done;
    };

    // `name` ends up in application_name.
    Worker(const std::string& dsn, const std::string& name);

    std::function<void()> on_up;
    std::function<void(const DatabaseError&, bool was_up)> on_down;
    // Asked for a page to read whenever there is room: statements and pages take turns, so that neither a storm of
    // HELLOs nor a subscriber with years to read holds up the other.
    std::function<std::optional<Job>()> next_page;

    // Connects as soon as it is time to; repeated from then on as often as the connection breaks.
    void start(Time now) { reconnect_at_ = now; }
    // The same, where it was not started yet.
    void start_once(Time now) {
        if (connection_.state() == Connection::State::kDown && reconnect_at_ == Time::max()) start(now);
    }
    void stop();
    void progress(Time now, bool ready);
    // Hands the connection its next job, if it has none: there may be a page to read now.
    void kick();

    [[nodiscard]] bool up() const { return up_; }
    [[nodiscard]] bool idle() const { return jobs_.empty() && connection_.state() != Connection::State::kBusy; }
    [[nodiscard]] const Connection& connection() const { return connection_; }
    [[nodiscard]] Time reconnect_at() const { return reconnect_at_; }
    // Queues a statement; only while up(). `done` is called once, with `lost` where the connection breaks first.
    void submit(Query query, Done done);

private:
    Connection connection_;
    Backoff backoff_;
    Time reconnect_at_ = Time::max();
    Time now_{};
    bool up_ = false;
    bool page_turn_ = false;
    std::deque<Job> jobs_;
};

}  // namespace paysync::relay

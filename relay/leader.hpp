// The lease and the ticks, on a connection of their own: the lease lives as long as it does.
#pragma once

#include <functional>
#include <string>

#include "calls.hpp"
#include "connection.hpp"
#include "head_gate.hpp"
#include "worker.hpp"

namespace paysync::relay {

class Leader {
public:
    explicit Leader(const std::string& dsn);

    std::function<void(const LeadRow&)> on_lead;
    std::function<void()> on_head;  // published() may have moved
    // Asked for a page of the outbox after each tick: the backend that has just cut it reads it at once.
    std::function<std::optional<Worker::Job>()> next_page;
    std::function<void(const DatabaseError&, bool was_up)> on_down;
    std::function<void(const DatabaseError&)> on_refused;  // lead() failed; another attempt follows
    std::function<void(const DatabaseError&)> on_fenced;   // the lease was taken over: there is no way back

    void start(Time now) { retry_at_ = now; }
    // No further ticks. The connection stays, so that acknowledgements can still be written under its epoch.
    void stop_ticks() { stopped_ = true; }
    void close();
    void progress(Time now, bool ready);

    [[nodiscard]] bool leading() const { return leading_; }
    [[nodiscard]] uint64_t epoch() const { return epoch_; }
    [[nodiscard]] uint64_t published() const { return gate_.published(); }
    // Whether ticks were seen that may not be sent yet.
    [[nodiscard]] bool unclean() const { return gate_.unclean(); }
    [[nodiscard]] const Connection& connection() const { return connection_; }
    [[nodiscard]] Time retry_at() const { return retry_at_; }

private:
    void lead();
    void tick();
    void read_then_tick();
    void lose();

    Connection connection_;
    Backoff backoff_;
    HeadGate gate_;
    Time retry_at_ = Time::max();
    Time unclean_since_{};
    Time now_{};
    uint64_t epoch_ = 0;
    bool leading_ = false;
    bool stopped_ = false;
};

}  // namespace paysync::relay

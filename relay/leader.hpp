// The lease and the ticks, on a connection of their own: the lease lives as long as it does.
#pragma once

#include <functional>
#include <string>

#include "calls.hpp"
#include "connection.hpp"
#include "head_gate.hpp"
#include "stream_reader.hpp"

namespace paysync::relay {

class Leader {
public:
    explicit Leader(const std::string& dsn);

    std::function<void(const LeadRow&)> on_lead;
    std::function<void()> on_head;  // published() may have moved
    // Asked before each tick for the page behind the head as it was seen last: the backend that cuts the tick reads it
    // at once, and both come in one answer.
    std::function<std::optional<PageAhead>(uint64_t head)> page_ahead;
    // Asked after each tick for a page that is there already.
    std::function<std::optional<Worker::Job>()> next_page;
    std::function<void(const DatabaseError&, bool was_up)> on_down;
    std::function<void(const DatabaseError&)> on_refused;  // lead() failed; another attempt follows
    std::function<void(const DatabaseError&)> on_fenced;   // the lease was taken over: there is no way back

    void start(Time now) { retry_at_ = now; }
    // If it is its turn, reads a page that is wanted, or calls for the next tick: what the last one brought has been
    // sent first.
    void kick();
    // Whether kick() would: then it is the one to read at the head.
    [[nodiscard]] bool is_due() const { return due_ && !stopped_; }
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
    // Whether the leader goes on.
    bool take_tick(Answer& answer);
    void lose();
    // The connection is gone: leads no more, and tries again after a while.
    void fall(const DatabaseError& error, bool was_up);

    Connection connection_;
    Backoff backoff_;
    HeadGate gate_;
    Time retry_at_ = Time::max();
    Time unclean_since_{};
    Time now_{};
    uint64_t epoch_ = 0;
    bool leading_ = false;
    bool due_ = false;
    bool stopped_ = false;
};

}  // namespace paysync::relay

// Writes down what subscribers have applied: at most ten times a second, and every 5 s as a sign of life.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "calls.hpp"
#include "sessions.hpp"
#include "worker.hpp"

namespace paysync::relay {

class Acknowledger {
public:
    Acknowledger(Worker& worker, Sessions& sessions) : worker_(worker), sessions_(sessions) {}

    std::function<void(const DatabaseError&)> on_fenced;
    // The database does not know this subscriber any more.
    std::function<void(const std::string& name)> on_unknown;

    // A session began.
    void note_begin(const Session& session) { changed_[session.subscriber].connected = true; }
    // It applied more.
    void note(const Session& session);
    // The session is over. Of an ephemeral subscriber nothing is recorded any more.
    void note_end(const Session& session);

    // What `subscriber` has applied as far as that is not written down yet; 0 if nothing is waiting.
    [[nodiscard]] uint64_t unwritten(const std::string& subscriber) const;
    // Writes what is due under `epoch`; 0 where this relay does not lead. `now_or_never`: without waiting for the pace.
    void run(uint64_t epoch, Time now, bool now_or_never = false);
    // Nothing is left to be written, and nothing under way.
    [[nodiscard]] bool settled() const { return changed_.empty() && !busy_; }
    // Numbers were written since the last call of this.
    [[nodiscard]] bool take_moved() { return std::exchange(moved_, false); }

private:
    void take_answer(Answer& answer, uint64_t epoch);

    static constexpr milliseconds kPace{100};
    static constexpr seconds kHeartbeat{5};

    Worker& worker_;
    Sessions& sessions_;
    std::map<std::string, Acknowledgement> changed_;
    std::map<std::string, Acknowledgement> writing_;
    bool busy_ = false;
    bool moved_ = false;
    uint64_t current_epoch_ = 0;
    Time last_{};
    Time last_heartbeat_{};
    Time retry_at_{};
    Backoff backoff_;
};

}  // namespace paysync::relay

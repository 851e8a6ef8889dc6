// Writes down what subscribers have applied: at most ten times a second, and every 5 s as a sign of life.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "calls.hpp"
#include "sessions.hpp"
#include "worker.hpp"

namespace paysync::relay {

class Acknowledger {
public:
    Acknowledger(Worker& worker, Sessions& sessions) : worker_(worker), sessions_(sessions) {}

    std::function<void(const DatabaseError&)> on_fenced;

    // A session began.
    void note_begin(const Session& session) { entry_of(session).connected = true; }
    // It applied more.
    void note(const Session& session);
    // The session is over. Of an ephemeral subscriber nothing is recorded any more.
    void note_end(const Session& session);
    // What its operator is shown as its last trouble; of one subscriber at most one in 10 s. It must exist.
    void note_error(const std::string& subscriber, std::string error, Time now);

    // What `subscriber` has applied in sessions of `revision` as far as that is not written down yet; 0 if nothing is
    // waiting. What earlier ones applied does not count: it may have been rewound since.
    [[nodiscard]] uint64_t unwritten(const std::string& subscriber, uint64_t revision) const;
    // Writes what is due under `epoch`; 0 where this relay does not lead. `now_or_never`: without waiting for the pace.
    void run(uint64_t epoch, Time now, bool now_or_never = false);
    // Nothing is left to be written, and nothing under way.
    [[nodiscard]] bool settled() const { return changed_.empty() && !busy_; }
    // Numbers were written since the last call of this.
    [[nodiscard]] bool take_moved() { return std::exchange(moved_, false); }

private:
    // What one subscriber's row is to say; `connected` unset: nothing new.
    struct Entry {
        int64_t number = -1;
        uint64_t revision = 0;  // of the session that `number` and `connected` are of
        std::optional<bool> connected;
        std::string error;
    };
    using Entries = std::map<std::string, Entry>;

    Entry& entry_of(const Session& session);
    void note_all();
    [[nodiscard]] static std::vector<Acknowledgement> rows_of(const Entries& entries);
    void take_answer(Answer& answer, uint64_t epoch);

    static constexpr milliseconds kPace{100};
    static constexpr seconds kHeartbeat{5};
    static constexpr seconds kErrorPace{10};
    static constexpr size_t kMostTold = 4096;

    Worker& worker_;
    Sessions& sessions_;
    Entries changed_;
    Entries writing_;
    std::map<std::string, Time> told_;  // when a subscriber's last error was noted
    bool busy_ = false;
    bool moved_ = false;
    uint64_t current_epoch_ = 0;
    Time last_{};
    Time last_heartbeat_{};
    Time retry_at_{};
    Backoff backoff_;
};

}  // namespace paysync::relay

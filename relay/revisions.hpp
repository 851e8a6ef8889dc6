// Once a second: which subscribers were changed in the database since their sessions began? Those sessions are over
// (error 301), and what the database says to the next HELLO holds.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sessions.hpp"
#include "worker.hpp"

namespace paysync::relay {

class Revisions {
public:
    Revisions(Worker& worker, Sessions& sessions) : worker_(worker), sessions_(sessions) {}

    // A session's subscriber is gone, or is not what it was when the session began.
    std::function<void(Session&)> on_stale;

    // Asks when it is time to; `serving`: the relay leads and its worker is up.
    void run(Time now, bool serving);

private:
    static constexpr seconds kEvery{1};

    void take_answer(const std::vector<uint64_t>& asked, Answer& answer);

    Worker& worker_;
    Sessions& sessions_;
    bool asking_ = false;
    Time asked_{};
};

}  // namespace paysync::relay

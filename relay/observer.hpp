// Asks the database every 2 s how far its subscribers are, for the metrics: it computes lags past the last tick, which
// the relay alone cannot.
#pragma once

#include "vitals.hpp"
#include "worker.hpp"

namespace paysync::relay {

class Observer {
public:
    explicit Observer(Worker& worker) : worker_(worker) {}

    // Asks when it is time to; `serving`: the relay leads and its worker is up.
    void run(Time now, bool serving);
    // Another relay leads: what was seen here is no longer this one's to tell.
    void forget();

    // What was seen last; null before that and after forget().
    [[nodiscard]] const SamplePtr& sample() const { return sample_; }

private:
    static constexpr seconds kEvery{2};

    void take_subscribers(Answer& answer, uint64_t question);
    void take_health(Answer& answer, uint64_t question);
    void failed(const Answer& answer);

    Worker& worker_;
    SamplePtr sample_;
    Sample next_;
    bool asking_ = false;
    uint64_t question_ = 0;  // counts forget(): an answer to an earlier one is dropped
    Time asked_{};
    Time ask_again_{};
};

}  // namespace paysync::relay

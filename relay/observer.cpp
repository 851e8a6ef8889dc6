// Two statements one after the other make a sample.
#include "observer.hpp"

#include <utility>

#include "calls.hpp"
#include "log.hpp"

namespace paysync::relay {

namespace {

// Looking at subscribers that are far behind takes time, and the worker has other things to do: a tenth of it at most.
constexpr int kShare = 10;

}  // namespace

void Observer::run(Time now, bool serving) {
    if (asking_ || !serving || now < ask_again_) return;
    asking_ = true;
    asked_ = now;
    worker_.submit(subscriber_states_query(),
                   [this, question = question_](Answer& answer) { take_subscribers(answer, question); });
}

void Observer::forget() {
    question_ += 1;
    sample_.reset();
}

void Observer::take_subscribers(Answer& answer, uint64_t question) {
    if (answer.error || !worker_.up()) {
        failed(answer);
        return;
    }
    next_ = Sample{};
    next_.subscribers = read_subscriber_states(answer.rows);
    worker_.submit(health_query(), [this, question](Answer& second) { take_health(second, question); });
}

void Observer::take_health(Answer& answer, uint64_t question) {
    if (answer.error) {
        failed(answer);
        return;
    }
    asking_ = false;
    const Time now = Clock::now();
    ask_again_ = std::max(asked_ + Duration(kEvery), now + (now - asked_) * (kShare - 1));
    read_health(answer.rows, next_);
    next_.at = now;
    if (question == question_) sample_ = std::make_shared<const Sample>(std::exchange(next_, {}));
}

void Observer::failed(const Answer& answer) {
    asking_ = false;
    ask_again_ = Clock::now() + Duration(kEvery);
    if (!answer.error || answer.lost) return;
    log_error("observe_failed", {{"sqlstate", answer.error->sqlstate},
                                 {"message", answer.error->message},
                                 {"detail", answer.error->detail},
                                 {"hint", answer.error->hint}});
}

}  // namespace paysync::relay

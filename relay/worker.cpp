// Feeds the work connection and brings it back when it breaks.
#include "worker.hpp"

#include <utility>

namespace paysync::relay {

Worker::Worker(const std::string& dsn, const std::string& name) : connection_(dsn, name) {
    connection_.on_up = [this] {
        up_ = true;
        backoff_.reset();
        if (on_up) on_up();
    };
    connection_.on_down = [this](const DatabaseError& error, bool was_up) {
        up_ = false;
        reconnect_at_ = now_ + backoff_.next();
        // Whoever waits for an answer is told; a job that comes up meanwhile finds up() false.
        for (Job& job : std::exchange(jobs_, {})) {
            Answer answer;
            answer.error = error;
            answer.lost = true;
            if (job.done) job.done(answer);
        }
        if (on_down) on_down(error, was_up);
    };
}

void Worker::stop() {
    connection_.close();
    up_ = false;
    jobs_.clear();
    reconnect_at_ = Time::max();
}

void Worker::submit(Query query, Done done) {
    jobs_.push_back(Job{std::move(query), std::move(done)});
    kick();
}

void Worker::progress(Time now, bool ready) {
    now_ = now;
    if (connection_.state() == Connection::State::kDown && now >= reconnect_at_) {
        reconnect_at_ = Time::max();
        connection_.connect(now);
    }
    connection_.progress(now, ready);
    kick();
}

void Worker::kick() {
    if (!up_ || connection_.state() != Connection::State::kIdle) return;
    std::optional<Job> job;
    if ((page_turn_ || jobs_.empty()) && next_page) job = next_page();
    if (job) {
        page_turn_ = false;
    } else if (!jobs_.empty()) {
        job = std::move(jobs_.front());
        jobs_.pop_front();
        page_turn_ = true;
    }
    if (job) connection_.send(job->query, std::move(job->done));
}

}  // namespace paysync::relay

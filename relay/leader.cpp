// Takes the lease, then calls next_tick() in a loop.
#include "leader.hpp"

#include "log.hpp"
#include "version.hpp"

namespace paysync::relay {

namespace {

// Whoever sees its backend idle for longer than a second may take the relay for silent (docs/operations.md).
constexpr int kWaitMs = 500;
constexpr int kPaceMs = 20;
constexpr seconds kUncleanLimit{2};

}  // namespace

Leader::Leader(const std::string& dsn) : connection_(dsn, "paysync-relay leader") {
    connection_.on_up = [this] { lead(); };
    connection_.on_down = [this](const DatabaseError& error, bool was_up) { fall(error, was_up); };
}

void Leader::fall(const DatabaseError& error, bool was_up) {
    lose();
    retry_at_ = now_ + backoff_.next();
    if (on_down) on_down(error, was_up);
}

void Leader::lose() {
    leading_ = due_ = false;
    epoch_ = 0;
}

void Leader::close() {
    connection_.close();
    lose();
    retry_at_ = Time::max();
}

void Leader::progress(Time now, bool ready) {
    now_ = now;
    if (now >= retry_at_ && !stopped_) {
        retry_at_ = Time::max();
        if (connection_.state() == Connection::State::kDown) {
            connection_.connect(now);
        } else if (connection_.state() == Connection::State::kIdle) {
            if (leading_) {
                due_ = true;
            } else {
                lead();
            }
        }
    }
    connection_.progress(now, ready);
}

void Leader::lead() {
    connection_.send(lead_query(std::string("paysync-relay ") + kRelayVersion), [this](Answer& answer) {
        if (answer.lost) return;
        if (answer.error) {
            retry_at_ = now_ + std::max<Duration>(backoff_.next(), milliseconds(500));
            if (on_refused) on_refused(*answer.error);
            return;
        }
        const LeadRow row = read_lead(answer.rows);
        gate_.lead(row.head, answer.warned);
        if (answer.warned) {
            log_warning("lead_not_durable", {{"epoch", row.epoch}, {"head", row.head}});
            unclean_since_ = now_;
        }
        leading_ = true;
        epoch_ = row.epoch;
        due_ = true;
        if (on_lead) on_lead(row);
    });
}

void Leader::kick() {
    if (!is_due() || connection_.state() != Connection::State::kIdle) return;
    due_ = false;
    std::optional<Worker::Job> job;
    if (next_page) job = next_page();
    if (!job) {
        tick();
        return;
    }
    connection_.send(job->query, [this, done = std::move(job->done)](Answer& answer) {
        due_ = !answer.lost;
        if (done) done(answer);
    });
}

void Leader::tick() {
    const Query call = next_tick_query(epoch_, kWaitMs, kPaceMs, gate_.seen());
    std::optional<PageAhead> page;
    if (page_ahead) page = page_ahead(gate_.seen());
    if (!page) {
        connection_.send(call, [this](Answer& answer) { due_ = take_tick(answer); });
        return;
    }
    connection_.send(call, page->query, [this, take_page = std::move(page->done)](Answer& ticked, Answer& read) {
        // First where the head stands: what is read beyond it stays here.
        due_ = take_tick(ticked);
        take_page(read, gate_.seen());
    });
}

bool Leader::take_tick(Answer& answer) {
    if (answer.lost) return false;
    if (answer.error) {
        if (answer.error->sqlstate == "40001") {
            lose();
            if (on_fenced) on_fenced(*answer.error);
            return false;
        }
        log_error("tick_failed", {{"sqlstate", answer.error->sqlstate},
                                  {"message", answer.error->message},
                                  {"detail", answer.error->detail},
                                  {"hint", answer.error->hint}});
        retry_at_ = now_ + backoff_.next();
        return false;
    }
    const bool was_unclean = gate_.unclean();
    gate_.tick(read_next_tick(answer.rows), answer.warned);
    if (answer.warned) log_warning("tick_not_durable", {{"head", gate_.seen()}, {"sent_up_to", gate_.published()}});
    if (gate_.unclean() && !was_unclean) unclean_since_ = now_;
    if (!gate_.unclean()) backoff_.reset();
    if (on_head) on_head();
    // On a quiet database no tick would come to prove that the last one is durable. A new epoch's row does.
    if (gate_.unclean() && now_ - unclean_since_ > kUncleanLimit) {
        connection_.close();
        fall(DatabaseError{"", "the last tick is not known to be durable", "", ""}, true);
        return false;
    }
    return true;
}

}  // namespace paysync::relay

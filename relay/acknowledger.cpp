// Collects, writes, and takes back what a lost connection may not have written.
#include "acknowledger.hpp"

#include "log.hpp"

namespace paysync::relay {

void Acknowledger::note(const Session& session) {
    Acknowledgement& entry = changed_[session.subscriber];
    entry.number = std::max(entry.number, static_cast<int64_t>(session.acked));
    entry.connected = true;
}

void Acknowledger::note_end(const Session& session) {
    if (session.ephemeral) {
        changed_.erase(session.subscriber);
        writing_.erase(session.subscriber);
        return;
    }
    changed_[session.subscriber].connected = false;
}

uint64_t Acknowledger::unwritten(const std::string& subscriber) const {
    int64_t number = 0;
    for (const auto* entries : {&changed_, &writing_}) {
        const auto found = entries->find(subscriber);
        if (found != entries->end()) number = std::max(number, found->second.number);
    }
    return static_cast<uint64_t>(number);
}

void Acknowledger::run(uint64_t epoch, Time now, bool now_or_never) {
    current_epoch_ = epoch;
    if (epoch == 0 || busy_ || !worker_.up() || now < retry_at_) return;
    if (now - last_heartbeat_ >= kHeartbeat) {
        last_heartbeat_ = now;
        for (const auto& [id, session] : sessions_.all()) {
            if (!session->ended) changed_.try_emplace(session->subscriber);
        }
    }
    if (changed_.empty() || (!now_or_never && now - last_ < kPace)) return;
    last_ = now;
    busy_ = true;
    writing_ = std::exchange(changed_, {});
    worker_.submit(acknowledge_query(epoch, writing_), [this, epoch](Answer& answer) { take_answer(answer, epoch); });
}

void Acknowledger::take_answer(Answer& answer, uint64_t epoch) {
    busy_ = false;
    if (!answer.error) {
        for (const auto& [name, entry] : writing_) moved_ = moved_ || entry.number >= 0;
        writing_.clear();
        backoff_.reset();
        for (int row = 0; row < answer.rows.count(); ++row) on_unknown(answer.rows.text(row, 0));
        return;
    }
    // Whatever was noted meanwhile is newer.
    for (auto& [name, entry] : std::exchange(writing_, {})) {
        const auto [at, added] = changed_.try_emplace(name, entry);
        if (!added) at->second.number = std::max(at->second.number, entry.number);
    }
    retry_at_ = Clock::now() + backoff_.next();
    if (answer.lost) return;
    // Under an epoch that is not ours any more the database refuses rightly; the next one is written under the new.
    if (answer.error->sqlstate == "40001") {
        if (epoch == current_epoch_ && on_fenced) on_fenced(*answer.error);
        return;
    }
    log_error("acknowledge_failed", {{"sqlstate", answer.error->sqlstate},
                                     {"message", answer.error->message},
                                     {"detail", answer.error->detail},
                                     {"hint", answer.error->hint}});
}

}  // namespace paysync::relay

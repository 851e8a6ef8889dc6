// Collects, writes, and takes back what a lost connection may not have written.
#include "acknowledger.hpp"

#include "log.hpp"

namespace paysync::relay {

// Of an earlier revision nothing counts any more.
Acknowledger::Entry& Acknowledger::entry_of(const Session& session) {
    Entry& entry = changed_[session.subscriber];
    if (entry.revision != session.revision) entry.number = -1;
    entry.revision = session.revision;
    return entry;
}

void Acknowledger::note(const Session& session) {
    Entry& entry = entry_of(session);
    entry.number = std::max(entry.number, static_cast<int64_t>(session.acked));
    entry.connected = true;
}

void Acknowledger::note_end(const Session& session) {
    if (session.ephemeral) {
        changed_.erase(session.subscriber);
        writing_.erase(session.subscriber);
        return;
    }
    entry_of(session).connected = false;
}

void Acknowledger::note_error(const std::string& subscriber, std::string error, Time now) {
    if (told_.size() >= kMostTold)
        std::erase_if(told_, [now](const auto& one) { return now - one.second >= kErrorPace; });
    if (told_.size() >= kMostTold) return;
    const auto [at, added] = told_.try_emplace(subscriber, now);
    if (!added && now - at->second < kErrorPace) return;
    at->second = now;
    changed_[subscriber].error = std::move(error);
}

uint64_t Acknowledger::unwritten(const std::string& subscriber, uint64_t revision) const {
    int64_t number = 0;
    for (const auto* entries : {&changed_, &writing_}) {
        const auto found = entries->find(subscriber);
        if (found != entries->end() && found->second.revision == revision) {
            number = std::max(number, found->second.number);
        }
    }
    return static_cast<uint64_t>(number);
}

// Whether it is connected, and its trouble, are told under revision 0 too: they hold whatever became of the subscriber.
std::vector<Acknowledgement> Acknowledger::rows_of(const Entries& entries) {
    std::vector<Acknowledgement> rows;
    for (const auto& [name, entry] : entries) {
        if (entry.revision != 0) {
            rows.push_back({name, entry.number, entry.connected.value_or(true), entry.revision, {}});
        }
        const bool ended = entry.connected.has_value() && !*entry.connected;
        if (ended || !entry.error.empty()) rows.push_back({name, -1, false, 0, entry.error});
    }
    return rows;
}

// What was written may not have been flushed when the server crashed.
void Acknowledger::note_all() {
    for (const auto& [id, session] : sessions_.all()) {
        if (!session->ended) note(*session);
    }
}

void Acknowledger::run(uint64_t epoch, Time now, bool now_or_never) {
    if (epoch != current_epoch_) note_all();
    current_epoch_ = epoch;
    if (epoch == 0 || busy_ || !worker_.up() || now < retry_at_) return;
    if (now - last_heartbeat_ >= kHeartbeat) {
        last_heartbeat_ = now;
        for (const auto& [id, session] : sessions_.all()) {
            if (!session->ended) (void)entry_of(*session);
        }
    }
    if (changed_.empty() || (!now_or_never && now - last_ < kPace)) return;
    last_ = now;
    busy_ = true;
    writing_ = std::exchange(changed_, {});
    worker_.submit(acknowledge_query(epoch, rows_of(writing_)),
                   [this, epoch](Answer& answer) { take_answer(answer, epoch); });
}

void Acknowledger::take_answer(Answer& answer, uint64_t epoch) {
    busy_ = false;
    if (!answer.error) {
        for (const auto& [name, entry] : writing_) moved_ = moved_ || entry.number >= 0;
        writing_.clear();
        backoff_.reset();
        return;
    }
    // Whatever was noted meanwhile is newer.
    for (auto& [name, entry] : std::exchange(writing_, {})) {
        const auto [at, added] = changed_.try_emplace(name, entry);
        if (added) continue;
        Entry& newer = at->second;
        if (newer.error.empty()) newer.error = entry.error;
        if (newer.revision == 0) newer.revision = entry.revision;
        if (newer.revision != entry.revision) continue;
        newer.number = std::max(newer.number, entry.number);
        if (!newer.connected) newer.connected = entry.connected;
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

// The table of sessions and its rules.
#include "sessions.hpp"

#include "log.hpp"
#include "metrics.hpp"

namespace paysync::relay {

namespace {

Session* find_in(const std::unordered_map<std::string, Session*>& index, const std::string& key) {
    const auto found = index.find(key);
    return found == index.end() ? nullptr : found->second;
}

}  // namespace

Admittance admit(const Session* existing, const std::string& routing_id, uint64_t instance) {
    if (existing == nullptr || existing->ended) return Admittance::kWelcome;
    const bool is_same = existing->instance == instance || existing->routing_id == routing_id;
    return is_same ? Admittance::kReplace : Admittance::kChallenge;
}

Session& Sessions::add(const std::string& routing_id, const std::string& subscriber, bool ephemeral, uint64_t window,
                       Time now) {
    uint64_t id = 0;
    while (id == 0 || by_id_.contains(id)) id = random_();
    auto session = std::make_unique<Session>(routing_id, id, window, now);
    session->subscriber = subscriber;
    session->ephemeral = ephemeral;
    Session& added = *session;
    by_id_.emplace(id, std::move(session));
    by_peer_[routing_id] = &added;
    by_subscriber_[subscriber] = &added;
    counters.sessions_opened += 1;
    return added;
}

void Sessions::end(Session& session, std::string_view reason) {
    if (session.ended) return;
    session.ended = true;
    counters.sessions_ended += 1;
    session.reader.reset();
    session.large.reset();
    session.pending.reset();
    any_ended_ = true;
    if (find_in(by_peer_, session.routing_id) == &session) by_peer_.erase(session.routing_id);
    if (find_in(by_subscriber_, session.subscriber) == &session) by_subscriber_.erase(session.subscriber);
    log_info("session_ended", {{"subscriber", session.subscriber},
                               {"session", std::to_string(session.id)},
                               {"reason", reason},
                               {"sent", session.number},
                               {"acknowledged", session.acked}});
    if (on_end) on_end(session);
}

void Sessions::fail(Session& session, std::string_view reason, std::string error) {
    if (session.ended) return;
    session.fault = std::move(error);
    end(session, reason);
}

void Sessions::sweep() {
    if (!any_ended_) return;
    any_ended_ = false;
    std::erase_if(by_id_, [](const auto& entry) { return entry.second->ended; });
}

Session* Sessions::by_peer(const std::string& routing_id) { return find_in(by_peer_, routing_id); }
Session* Sessions::by_subscriber(const std::string& name) { return find_in(by_subscriber_, name); }

void Sessions::check(Time now, const std::function<void(Session&)>& ping) {
    for (auto& [id, session] : by_id_) {
        if (session->ended) continue;
        if (now - session->heard >= kDeadAfter) {
            fail(*session, "silent", "the connection fell silent");
        } else if (now - session->heard >= kPingAfter && now - session->pinged >= kPingAfter) {
            session->pinged = now;
            ping(*session);
        }
    }
}

}  // namespace paysync::relay

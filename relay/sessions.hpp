// All sessions: by id, by connection, by subscriber (one each, docs/wire.md §9.6), and their liveness.
#pragma once

#include <functional>
#include <map>
#include <random>
#include <string>
#include <unordered_map>

#include "session.hpp"

namespace paysync::relay {

// What to do with a HELLO, seen from the session that its subscriber has already.
enum class Admittance {
    kWelcome,    // there is none, or it is an ephemeral subscription
    kReplace,    // the same process, or the same connection
    kChallenge,  // another one: ask the old session whether it is alive
};
[[nodiscard]] Admittance admit(const Session* existing, const std::string& routing_id, uint64_t instance);

class Sessions {
public:
    static constexpr size_t kMost = 1024;
    static constexpr seconds kPingAfter{2};
    static constexpr seconds kDeadAfter{10};

    // Called for each session that ended, before it is forgotten.
    std::function<void(Session&)> on_end;

    // A new session with a random id. The subscriber and the connection must have none.
    Session& add(const std::string& routing_id, const std::string& subscriber, bool ephemeral, uint64_t window,
                 Time now);
    // Marks a session as ended; it stays in memory until sweep(), so that loops over all sessions are safe.
    void end(Session& session, std::string_view reason);
    // The same for what is the subscriber's fault, or its trouble: `error` is what its operator is shown.
    void fail(Session& session, std::string_view reason, std::string error);
    // Forgets ended sessions.
    void sweep();

    // Null where there is none that has not ended.
    [[nodiscard]] Session* by_peer(const std::string& routing_id);
    [[nodiscard]] Session* by_subscriber(const std::string& name);

    // Calls `ping` for each session that has been silent for a while, and ends those that are dead.
    void check(Time now, const std::function<void(Session&)>& ping);

    // Sessions in the order of their ids; some may have ended.
    [[nodiscard]] std::map<uint64_t, std::unique_ptr<Session>>& all() { return by_id_; }
    [[nodiscard]] bool empty() const { return by_id_.empty(); }
    [[nodiscard]] bool full() const { return by_id_.size() >= kMost; }

private:
    std::map<uint64_t, std::unique_ptr<Session>> by_id_;
    std::unordered_map<std::string, Session*> by_peer_;
    std::unordered_map<std::string, Session*> by_subscriber_;
    bool any_ended_ = false;
    std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace paysync::relay

// HELLO to WELCOME: asks the database what a subscriber may have, and lets each subscriber have one session.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "calls.hpp"
#include "delivery.hpp"
#include "router.hpp"
#include "sessions.hpp"
#include "stream.hpp"
#include "worker.hpp"

namespace paysync::relay {

// What a HELLO asked for, from an authenticated connection.
struct Application {
    std::string routing_id;
    std::string user;  // subscriber's name, or the one that asks for an ephemeral subscription
    uint64_t instance = 0;
    std::string stream_id;
    std::string position;
    uint64_t window = 0;
    std::string software;
    uint64_t version = wire::kLowestVersion;  // of the protocol, as agreed on
    bool obeys_rewinds = false;
};

class Admission {
public:
    Admission(Stream& stream, Sessions& sessions, Delivery& delivery, Router& router, Worker& worker)
        : stream_(stream), sessions_(sessions), delivery_(delivery), router_(router), worker_(worker) {}

    std::function<void(Session&)> ping;  // asks a session whether it is alive

    std::function<void(const Session&)> on_open;
    // What a subscriber acknowledged and the database has not been told yet.
    std::function<uint64_t(const std::string& subscriber, uint64_t revision)> unwritten;
    // A subscriber that exists was refused for what it is, or for the position that it brought.
    std::function<void(const std::string& subscriber, const Refusal& refusal)> on_refused;

    void apply(Application application, Time now);
    // Decides about those who wait for an older session to answer, and asks the database for those whose turn it is.
    void check(Time now);
    // The connection said goodbye.
    void withdraw(const std::string& routing_id);
    [[nodiscard]] bool knows(const std::string& routing_id) const { return waiting_.contains(routing_id); }

private:
    struct Applicant {
        Application application;
        bool opening = false;  // the database was asked
        bool free = true;      // no older session is in the way
        Time since{};
        uint64_t turn = 0;
    };
    using ApplicantPtr = std::shared_ptr<Applicant>;

    [[nodiscard]] Applicant* rival(const Application& application);
    void challenge(Applicant& applicant, Time now);
    void open(const ApplicantPtr& applicant);
    void take_answer(const ApplicantPtr& applicant, Answer& answer);
    void welcome(const Application& application, const OpenedSubscriber& opened);
    [[nodiscard]] std::string start_position(const Application& application, const OpenedSubscriber& opened) const;
    void refuse(const Application& application, const Refusal& refusal);
    void refuse_busy(const Application& application, const char* detail);
    [[nodiscard]] bool is_current(const ApplicantPtr& applicant) const;

    static constexpr seconds kChallenge{2};
    static constexpr milliseconds kPingPace{100};
    // Statements at a time, those whose applicant is gone included: what else the relay asks of the database waits
    // behind them, however many say HELLO.
    static constexpr size_t kMostOpening = 16;

    Stream& stream_;
    Sessions& sessions_;
    Delivery& delivery_;
    Router& router_;
    Worker& worker_;
    std::unordered_map<std::string, ApplicantPtr> waiting_;  // by routing id
    size_t opening_ = 0;                                     // statements that are not answered
    uint64_t last_turn_ = 0;
};

// The ERROR for what open_subscriber() refused.
[[nodiscard]] Refusal refusal_of(const DatabaseError& error);

}  // namespace paysync::relay

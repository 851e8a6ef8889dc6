// What comes from the network: hostile until it is parsed. Every frame ends here in an answer, an effect, or a count of
// bad ones.
#pragma once

#include <list>
#include <string>
#include <unordered_map>

#include "acknowledger.hpp"
#include "admission.hpp"
#include "router.hpp"
#include "sessions.hpp"
#include "stream.hpp"

namespace paysync::relay {

// What is remembered of connections that misbehaved; the oldest are forgotten first.
class Offenders {
public:
    static constexpr int kMostBadFrames = 5;

    // Counts a bad frame and returns how many there were.
    int count(const std::string& routing_id);
    // Whether the connection had its last chance.
    [[nodiscard]] bool is_ignored(const std::string& routing_id) const;
    // Whether a frame of an unknown session may be answered now: at most one a second a connection.
    bool may_answer(const std::string& routing_id, Time now);

private:
    static constexpr size_t kMost = 4096;
    struct Entry {
        int bad = 0;
        Time answered{};
        std::list<std::string>::iterator age;
    };
    Entry& entry(const std::string& routing_id);

    std::unordered_map<std::string, Entry> entries_;
    std::list<std::string> ages_;
};

class Protocol {
public:
    Protocol(Stream& stream, Sessions& sessions, Admission& admission, Acknowledger& acknowledger, Router& router)
        : stream_(stream), sessions_(sessions), admission_(admission), acknowledger_(acknowledger), router_(router) {}

    void receive(const Incoming& message, Time now);
    // Asks for a sign of life; ends the session where the connection is gone.
    void ping(Session& session);

private:
    void hello(const Incoming& message, const wire::Frame& frame, Time now);
    void of_session(Session& session, const Incoming& message, const wire::Frame& frame);
    void bad_frame(const Incoming& message, const char* what);

    Stream& stream_;
    Sessions& sessions_;
    Admission& admission_;
    Acknowledger& acknowledger_;
    Router& router_;
    Offenders offenders_;
};

}  // namespace paysync::relay

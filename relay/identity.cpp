// PLAIN: the user name is the subscriber's name, the password empty. The socket is on loopback or ipc (endpoint.hpp).
#include "identity.hpp"

#include <algorithm>
#include <vector>

#include "log.hpp"
#include "metrics.hpp"
#include "wire/frame.hpp"

namespace paysync::relay {

namespace {

constexpr size_t kMaxNameBytes = 63;

struct Verdict {
    const char* status;
    const char* text;
    std::string user;
};

// version, request id, domain, address, routing id, mechanism, user name, password
Verdict judge(const std::vector<std::string>& request) {
    if (request.size() != 8 || request[0] != "1.0") return {"500", "malformed request", ""};
    if (request[2] != "paysync" || request[5] != "PLAIN") return {"400", "mechanism not accepted", ""};
    const std::string& user = request[6];
    if (!is_subscriber_name(user) && !is_ephemeral_name(user)) return {"400", "no name of a subscriber", ""};
    if (!request[7].empty()) return {"400", "a password is not accepted", ""};
    return {"200", "OK", user};
}

}  // namespace

bool is_ephemeral_name(std::string_view name) { return name == wire::kEphemeral; }

bool is_subscriber_name(std::string_view name) {
    const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
    return !name.empty() && name.size() <= kMaxNameBytes && is_plain(name[0]) &&
           std::all_of(name.begin(), name.end(), [&](char c) { return is_plain(c) || c == '-' || c == '.'; });
}

Identity::Identity(zmq::context_t& context) : socket_(context, zmq::socket_type::rep) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.bind("inproc://zeromq.zap.01");
}

void Identity::answer_all() {
    zmq::message_t part;
    while (socket_.recv(part, zmq::recv_flags::dontwait)) {
        std::vector<std::string> request;
        request.emplace_back(part.data<char>(), part.size());
        while (part.more() && socket_.recv(part, zmq::recv_flags::dontwait)) {
            request.emplace_back(part.data<char>(), part.size());
        }
        const Verdict verdict = judge(request);
        if (verdict.user.empty()) {
            counters.connections_refused += 1;
            log_warning("connection_refused",
                        {{"reason", verdict.text},
                         {"address", request.size() > 3 ? request[3] : ""},
                         {"name", request.size() > 6 ? request[6].substr(0, kMaxNameBytes) : ""}});
        }
        const std::string replies[] = {
            "1.0", request.size() > 1 ? request[1] : "", verdict.status, verdict.text, verdict.user, ""};
        for (size_t i = 0; i < std::size(replies); ++i) {
            socket_.send(zmq::buffer(replies[i]),
                         i + 1 < std::size(replies) ? zmq::send_flags::sndmore : zmq::send_flags::none);
        }
    }
}

}  // namespace paysync::relay

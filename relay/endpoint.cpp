// Checks an endpoint before libzmq sees it: libzmq would take an interface's name, or all of them, without a word.
#include "endpoint.hpp"

#include <arpa/inet.h>
#include <sys/un.h>

#include <charconv>

#include "failure.hpp"

namespace paysync::relay {

namespace {

constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kIpc = "ipc://";

[[noreturn]] void refuse(std::string_view endpoint, const char* detail, const char* hint) {
    throw Failure(kExitUsage, "cannot bind to \"" + std::string(endpoint) + "\"", detail, hint);
}

bool is_loopback(const std::string& host) {
    if (host == "localhost") return true;
    in_addr address{};
    return inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

bool is_port(std::string_view text, unsigned& port) {
    if (text == "*") {
        port = 0;
        return true;
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port <= 65535;
}

}  // namespace

std::string check_endpoint(std::string_view endpoint) {
    if (endpoint.substr(0, kIpc.size()) == kIpc) {
        const std::string_view path = endpoint.substr(kIpc.size());
        if (path.empty() || path == "*")
            refuse(endpoint, "The endpoint names no path.", "Give one, as in ipc:///run/paysync/relay.");
        if (path.size() >= sizeof(sockaddr_un::sun_path))
            refuse(endpoint, "The path is too long for a socket.", "Choose a shorter one.");
        return std::string(endpoint);
    }
    if (endpoint.substr(0, kTcp.size()) != kTcp) {
        refuse(endpoint, "The endpoint begins neither with tcp:// nor with ipc://.",
               "Give one like tcp://127.0.0.1:7420.");
    }
    const std::string_view address = endpoint.substr(kTcp.size());
    const size_t colon = address.rfind(':');
    unsigned port = 0;
    if (colon == std::string_view::npos || !is_port(address.substr(colon + 1), port)) {
        refuse(endpoint, "The endpoint has no port from 0 to 65535.", "Give one like tcp://127.0.0.1:7420.");
    }
    std::string host(address.substr(0, colon));
    if (!is_loopback(host)) {
        refuse(endpoint,
               "The plain transport is neither encrypted nor authenticated, so it is for loopback and ipc only.",
               "Bind to tcp://127.0.0.1:PORT or to ipc://PATH.");
    }
    // libzmq resolves names by interface first; the address leaves no doubt.
    if (host == "localhost") host = "127.0.0.1";
    return std::string(kTcp) + host + ":" + (port == 0 ? "*" : std::to_string(port));
}

}  // namespace paysync::relay

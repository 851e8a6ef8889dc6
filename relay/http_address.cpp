// Addresses of both families, to and from text.
#include "http_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>

#include "failure.hpp"

namespace paysync::relay {

namespace {

[[noreturn]] void refuse(std::string_view text, const char* detail) {
    throw Failure(kExitUsage, "cannot serve HTTP at \"" + std::string(text) + "\"", detail,
                  "Give an address and a port like 127.0.0.1:7421 or [::1]:7421, or nothing for no HTTP.");
}

}  // namespace

HttpAddress parse_http_address(std::string_view text) {
    const size_t colon = text.rfind(':');
    unsigned port = 0;
    const std::string_view digits = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || port > 65535) {
        refuse(text, "It has no port from 0 to 65535.");
    }
    std::string host(text.substr(0, colon));
    if (host == "localhost") host = "127.0.0.1";
    HttpAddress address;
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        auto* const six = reinterpret_cast<sockaddr_in6*>(&address.socket);
        if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &six->sin6_addr) != 1) {
            refuse(text, "Between the brackets stands no IPv6 address.");
        }
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(static_cast<uint16_t>(port));
        address.length = sizeof *six;
        return address;
    }
    auto* const four = reinterpret_cast<sockaddr_in*>(&address.socket);
    if (inet_pton(AF_INET, host.c_str(), &four->sin_addr) != 1) {
        refuse(text, "It begins with no IPv4 address, and with no IPv6 address in brackets.");
    }
    four->sin_family = AF_INET;
    four->sin_port = htons(static_cast<uint16_t>(port));
    address.length = sizeof *four;
    return address;
}

std::string format_http_address(const HttpAddress& address) {
    char host[INET6_ADDRSTRLEN] = "";
    if (address.socket.ss_family == AF_INET6) {
        const auto* const six = reinterpret_cast<const sockaddr_in6*>(&address.socket);
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        return "[" + std::string(host) + "]:" + std::to_string(ntohs(six->sin6_port));
    }
    const auto* const four = reinterpret_cast<const sockaddr_in*>(&address.socket);
    inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
    return std::string(host) + ":" + std::to_string(ntohs(four->sin_port));
}

}  // namespace paysync::relay

// Where HTTP is served: ADDRESS:PORT, a number for each; names are not looked up.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

namespace paysync::relay {

struct HttpAddress {
    sockaddr_storage socket{};
    socklen_t length = 0;
};

// Reads "127.0.0.1:7421", "[::1]:7421" or "localhost:7421"; port 0 takes a free one. Throws Failure (usage).
[[nodiscard]] HttpAddress parse_http_address(std::string_view text);

// The same form again, from a socket's name.
[[nodiscard]] std::string format_http_address(const HttpAddress& address);

}  // namespace paysync::relay

// Where a relay may listen: loopback and ipc only, because the transport is not encrypted.
#pragma once

#include <string>
#include <string_view>

namespace paysync::relay {

// Returns `endpoint` as libzmq takes it (port 0 becomes `*`). Throws Failure (usage) for anything but
// tcp://127.x.y.z:PORT, tcp://localhost:PORT and ipc://PATH.
[[nodiscard]] std::string check_endpoint(std::string_view endpoint);

}  // namespace paysync::relay

// The relay's version, from the extension's control file by way of the build.
#pragma once

#ifndef PAYSYNC_VERSION
#error "PAYSYNC_VERSION is not defined; the build passes it from extension/paysync.control"
#endif

namespace paysync::relay {

inline constexpr char kRelayVersion[] = PAYSYNC_VERSION;

}  // namespace paysync::relay

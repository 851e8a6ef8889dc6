// Writing without a buffer of our own: what write() took is out.
#include "output.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace paysync::cli {

int write_all(int descriptor, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = write(descriptor, bytes.data(), bytes.size());
        if (written >= 0) {
            bytes.remove_prefix(static_cast<size_t>(written));
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            // Somebody who shares the descriptor made it non-blocking.
            pollfd wait{descriptor, POLLOUT, 0};
            (void)poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

void report(const Error& error) {
    std::fprintf(stderr, "paysync: %s\n", error.what());
    if (!error.detail().empty()) std::fprintf(stderr, "detail: %s\n", error.detail().c_str());
    if (!error.hint().empty()) std::fprintf(stderr, "hint: %s\n", error.hint().c_str());
}

}  // namespace paysync::cli

// paysync-relay: command line, process set-up, exit status.
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "command_line.hpp"
#include "failure.hpp"
#include "relay.hpp"
#include "version.hpp"

namespace {

using namespace paysync::relay;

// libzmq takes the ids of its connections from rand() and never seeds it. Ids that repeat in every run could be claimed
// by a peer, which ends the process, so this comes before the first socket.
void seed_connection_ids() {
    unsigned seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        throw Failure(kExitFailed, "the system gives no random numbers");
    std::srand(seed);
}

// Every connection is a descriptor, and libzmq spins where they run out.
void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

// Blocked before libzmq starts its threads, which inherit the mask: the signals arrive in the loop and nowhere else.
int open_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    std::signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) throw Failure(kExitFailed, "cannot block signals");
    const int descriptor = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (descriptor < 0) throw Failure(kExitFailed, "cannot open a signal descriptor");
    return descriptor;
}

void print_failure(const Failure& failure) {
    std::fprintf(stderr, "paysync-relay: %s\n", failure.what());
    if (!failure.detail.empty()) std::fprintf(stderr, "detail: %s\n", failure.detail.c_str());
    if (!failure.hint.empty()) std::fprintf(stderr, "hint: %s\n", failure.hint.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const CommandLine line = read_command_line(argc, argv, environ);
        if (line.print) {
            std::fputs(line.print->c_str(), stdout);
            return kExitDone;
        }
        if (line.check_only) {
            std::puts("the configuration is valid");
            return kExitDone;
        }
        start_log(line.options.log_level, line.options.log_format);
        seed_connection_ids();
        raise_descriptor_limit();
        const int signals = open_signals();
        log_info("starting", {{"version", kRelayVersion}, {"bind", line.options.bind}});
        Relay relay(line.options, signals, [argc, argv] { return read_command_line(argc, argv, environ).options; });
        relay.run();
        log_info("stopped");
        return kExitDone;
    } catch (const Failure& failure) {
        print_failure(failure);
        return failure.status;
    } catch (const std::exception& error) {
        print_failure(Failure(kExitFailed, error.what()));
        return kExitFailed;
    }
}

// Over libsystemd.
#include "supervisor.hpp"

#include <systemd/sd-daemon.h>

namespace paysync::relay {

Supervisor::Supervisor() {
    uint64_t microseconds = 0;
    if (sd_watchdog_enabled(0, &microseconds) > 0) interval_ = std::chrono::microseconds(microseconds / 3);
}

void Supervisor::ready(const std::string& status) { sd_notify(0, ("READY=1\nSTATUS=" + status).c_str()); }
void Supervisor::stopping() { sd_notify(0, "STOPPING=1"); }

void Supervisor::alive(Time now) {
    if (interval_ == Duration{} || now - last_ < interval_) return;
    last_ = now;
    sd_notify(0, "WATCHDOG=1");
}

}  // namespace paysync::relay

// Over libsystemd.
#include "supervisor.hpp"

#include <systemd/sd-daemon.h>

namespace paysync::relay {

Supervisor::Supervisor() {
    uint64_t microseconds = 0;
    if (sd_watchdog_enabled(0, &microseconds) > 0) interval_ = std::chrono::microseconds(microseconds / 3);
}

void Supervisor::ready(const std::string& status) {
    ready_ = true;
    status_ = status;
    sd_notify(0, ("READY=1\nSTATUS=" + status).c_str());
}

void Supervisor::status(const std::string& text) {
    if (text == status_) return;
    status_ = text;
    sd_notify(0, ("STATUS=" + text).c_str());
}

void Supervisor::reloading() {
    if (!ready_) return;
    // The time is what systemd 253 and later tell a reload of their own by; steady_clock is CLOCK_MONOTONIC.
    const auto now = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count();
    sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now)).c_str());
}

void Supervisor::reloaded() {
    if (ready_) sd_notify(0, "READY=1");
}

void Supervisor::stopping() { sd_notify(0, "STOPPING=1\nSTATUS=draining"); }

void Supervisor::alive(Time now) {
    if (interval_ == Duration{} || now - last_ < interval_) return;
    last_ = now;
    sd_notify(0, "WATCHDOG=1");
}

}  // namespace paysync::relay

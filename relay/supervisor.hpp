// Tells systemd how the process is doing (sd_notify); does nothing where it was not started by it.
#pragma once

#include <string>

#include "clock.hpp"

namespace paysync::relay {

class Supervisor {
public:
    Supervisor();
    // Subscribers can be served, for the first time.
    void ready(const std::string& status);
    // A line for people; repeated ones are not sent.
    void status(const std::string& text);
    // Around a reload. Said only after ready(): the READY that ends a reload must not be a relay's first one.
    void reloading();
    void reloaded();
    void stopping();
    // To be called from the loop, which is what proves that it turns.
    void alive(Time now);

private:
    Duration interval_{};  // 0: no watchdog
    Time last_{};
    bool ready_ = false;
    std::string status_;
};

}  // namespace paysync::relay

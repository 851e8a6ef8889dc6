// Tells systemd how the process is doing (sd_notify); does nothing where it was not started by it.
#pragma once

#include <string>

#include "clock.hpp"

namespace paysync::relay {

class Supervisor {
public:
    Supervisor();
    void ready(const std::string& status);
    void stopping();
    // To be called from the loop, which is what proves that it turns.
    void alive(Time now);

private:
    Duration interval_{};  // 0: no watchdog
    Time last_{};
};

}  // namespace paysync::relay

// SIGHUP: the configuration is read again, and what may change while the relay runs is taken over.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"

namespace paysync::relay {

struct Reloaded {
    std::vector<std::string_view> changed;  // keys with a new value
    std::vector<std::string_view> ignored;  // keys that differ and keep their old value until the next start
};

// Takes over from `wanted` what may change. Whatever reads `current` sees it from its next use on.
Reloaded take_over(Options& current, const Options& wanted);

// Reads the options again with `read`, which throws Failure where they are wrong: then nothing changes. Says in the log
// what it did. Returns whether they could be read.
bool reload(Options& current, const std::function<Options()>& read);

}  // namespace paysync::relay

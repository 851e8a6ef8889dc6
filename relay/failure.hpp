// What ends the process before its time: a message for a person and the exit status.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace paysync::relay {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;  // at run time: another attempt may succeed
inline constexpr int kExitUsage = 2;   // wrong usage or configuration: the same attempt fails again

struct Failure : std::runtime_error {
    Failure(int exit_status, const std::string& message, std::string detail_text = {}, std::string hint_text = {})
        : std::runtime_error(message),
          status(exit_status),
          detail(std::move(detail_text)),
          hint(std::move(hint_text)) {}

    int status;
    std::string detail;
    std::string hint;
};

}  // namespace paysync::relay

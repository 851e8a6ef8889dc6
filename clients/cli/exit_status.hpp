// What every subcommand's exit status means.
#pragma once

namespace paysync::cli {

enum ExitStatus : int { kDone = 0, kFailed = 1, kWrongUsage = 2, kRefused = 3 };

}  // namespace paysync::cli

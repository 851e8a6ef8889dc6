// Commands of ours among those that the event triggers see.
#pragma once

namespace paysync {

// Whether a command of ours runs, which changes triggers to fit a registration and is nothing to tell.
bool runs_own_command();

// The same, at the end of a command: what event triggers of others run from here on is theirs, not ours.
bool ends_own_command();

}  // namespace paysync

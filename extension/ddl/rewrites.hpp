// The tables whose rows the running command writes anew, as table_rewrite tells before each.
#pragma once

#include "postgres.hpp"

namespace paysync {

// Notes the table that the running table_rewrite event is about, if its rows may be others afterwards.
void note_rewrite();

// What was noted since the last call, an oid[] in the current memory context. Notes of a command that failed are gone.
Datum take_rewrites();

}  // namespace paysync

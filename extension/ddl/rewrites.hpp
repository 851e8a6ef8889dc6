// The tables whose rows running commands write anew, as table_rewrite tells before each.
#pragma once

#include "postgres.hpp"

namespace paysync {

// Notes the table that the running table_rewrite event is about, if its rows may be others afterwards.
void note_rewrite();

// What is noted and not told, an oid[] in the current memory context. Notes of a command that failed are gone; those of
// a command that has not ended yet, because this one was run by a function that it called, are there too.
[[nodiscard]] Datum noted_rewrites();

// The stream tells that this table was rewritten, unless the savepoint that told it is rolled back.
void end_rewrite(Oid table);

}  // namespace paysync

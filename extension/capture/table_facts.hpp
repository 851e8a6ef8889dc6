// Looking up all that capture needs to know of a table.
#pragma once

#include "capture/captured_table.hpp"

namespace paysync {

// Fills what lives in `table.memory` and the facts beside it, anew. `relation` is the one that holds the rows, open.
// Adds the shape where that is not known yet. Error 55000 if neither it nor one of its ancestors is registered.
void fill_facts(Relation relation, CapturedTable& table);

}  // namespace paysync

// What capture needs to know of a registered table, kept a session and looked up again after the table or its
// registration was altered.
#pragma once

#include "capture/captured_table.hpp"

namespace paysync {

// The facts of `relation`, which must be open. Adds its shape to paysync.shapes where that is not known yet.
// Error 55000 if neither it nor one of its ancestors is registered.
CapturedTable& captured_table(Relation relation);

// The transaction that added shapes committed, so that later ones may name them; or it, or a savepoint of it, was
// rolled back, and they must be looked up again. Cannot fail.
void keep_new_shapes();
void forget_new_shapes();

// Installs the invalidation callback; called once, when the library is loaded.
void watch_relations();

}  // namespace paysync

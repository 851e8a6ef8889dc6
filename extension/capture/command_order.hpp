// Which place among its transaction's commands a change takes, so that sorting by it gives the order in which rows
// changed.
#pragma once

#include "postgres.hpp"

namespace paysync {

// The place of a row's change. `trigger` is the call of our trigger, `command` the command that changed the row,
// `highest` the highest place recorded so far in the transaction, `new_tuple` null for a delete. Rules in docs/wire.md
// §4.
CommandId place_of_row(FunctionCallInfo trigger, CommandId command, CommandId highest, HeapTuple new_tuple);

// The place of a truncate: that of its statement.
CommandId place_of_truncate();

}  // namespace paysync

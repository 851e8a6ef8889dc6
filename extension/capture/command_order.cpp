#include "capture/command_order.hpp"

namespace paysync {
namespace {

// A statement whose triggers fire now. It lives in the memory of the statement's execution and leaves the list with it.
struct Statement {
    CommandId command;
    CommandId place;
    Statement* outer;
    MemoryContextCallback ended;
};
Statement* firing = nullptr;

void leave(void* ended) {
    for (Statement** at = &firing; *at != nullptr; at = &(*at)->outer) {
        if (*at != ended) continue;
        *at = (*at)->outer;
        return;
    }
}

// The place of a statement's own changes. A place above its command is already taken when its first change comes only
// if statements inside it came before: a BEFORE trigger's, or a function's in one of its expressions. It goes behind
// them.
CommandId place_of_statement(MemoryContext execution, CommandId command, CommandId highest) {
    for (const Statement* known = firing; known != nullptr; known = known->outer)
        if (known->command == command) return known->place;
    auto* const added = static_cast<Statement*>(MemoryContextAllocZero(execution, sizeof(Statement)));
    added->command = command;
    added->place = highest > command ? GetCurrentCommandId(true) : command;
    added->outer = firing;
    added->ended.func = leave;
    added->ended.arg = added;
    MemoryContextRegisterResetCallback(execution, &added->ended);
    firing = added;
    return added->place;
}

// The command of this transaction that changed the row once more, if there is one.
bool changed_again(HeapTupleHeader tuple, CommandId& by) {
    if ((tuple->t_infomask & HEAP_XMAX_INVALID) != 0 || HEAP_XMAX_IS_LOCKED_ONLY(tuple->t_infomask)) return false;
    if (!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(tuple))) return false;
    by = HeapTupleHeaderGetCmax(tuple);
    return true;
}

}  // namespace

CommandId place_of_row(FunctionCallInfo trigger, CommandId command, CommandId highest, HeapTuple new_tuple) {
    // A foreign key's own statement leaves its triggers to the statement that it serves, where they fire late.
    if (ActiveSnapshotSet() && command > GetActiveSnapshot()->curcid) return command;
    const CommandId place = place_of_statement(trigger->flinfo->fn_mcxt, command, highest);
    CommandId by = 0;
    if (place == command || new_tuple == nullptr || !changed_again(new_tuple->t_data, by) || by > place) return place;
    return by - 1;
}

CommandId place_of_truncate() {
    const CommandId command = GetCurrentCommandId(true);
    return ActiveSnapshotSet() ? Min(command, GetActiveSnapshot()->curcid) : command;
}

}  // namespace paysync

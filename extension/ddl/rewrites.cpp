#include "ddl/rewrites.hpp"

namespace paysync {
namespace {

// One table that a command rewrites. Functions that the command calls may run commands of their own meanwhile, and
// savepoints.
struct Rewrite {
    Oid table;
    SubTransactionId noted_in;
};

// In TopTransactionContext, whose end takes it along; null: none.
List* rewrites = NIL;

void on_end(XactEvent, void*) { rewrites = NIL; }

// What was noted in a savepoint that is rolled back, or inside it, goes with it: the numbers of those inside are
// greater.
void on_savepoint(SubXactEvent event, SubTransactionId ended, SubTransactionId, void*) {
    if (event != SUBXACT_EVENT_ABORT_SUB) return;
    ListCell* cell = nullptr;
    foreach (cell, rewrites)
        if (static_cast<Rewrite*>(lfirst(cell))->noted_in >= ended) rewrites = foreach_delete_current(rewrites, cell);
}

}  // namespace

void note_rewrite() {
    static bool watching = false;
    if (!watching) {
        RegisterXactCallback(on_end, nullptr);
        RegisterSubXactCallback(on_savepoint, nullptr);
        watching = true;
    }
    const int reason = DatumGetInt32(DirectFunctionCall1(pg_event_trigger_table_rewrite_reason, Datum{0}));
    // Another access method has the same rows; what SET UNLOGGED means is seen afterwards.
    if ((reason & ~(AT_REWRITE_ACCESS_METHOD | AT_REWRITE_ALTER_PERSISTENCE)) == 0) return;
    const MemoryContext before = MemoryContextSwitchTo(TopTransactionContext);
    auto* const noted = static_cast<Rewrite*>(palloc(sizeof(Rewrite)));
    noted->table = DatumGetObjectId(DirectFunctionCall1(pg_event_trigger_table_rewrite_oid, Datum{0}));
    noted->noted_in = GetCurrentSubTransactionId();
    rewrites = lappend(rewrites, noted);
    MemoryContextSwitchTo(before);
}

Datum noted_rewrites() {
    const int count = list_length(rewrites);
    auto* const oids = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<size_t>(count + 1)));
    for (int i = 0; i < count; ++i) oids[i] = ObjectIdGetDatum(static_cast<Rewrite*>(list_nth(rewrites, i))->table);
    return PointerGetDatum(construct_array(oids, count, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

void forget_rewrite(Oid table) {
    ListCell* cell = nullptr;
    foreach (cell, rewrites)
        if (static_cast<Rewrite*>(lfirst(cell))->table == table) rewrites = foreach_delete_current(rewrites, cell);
}

}  // namespace paysync

#include "ddl/rewrites.hpp"

namespace paysync {
namespace {

// One table that a command rewrites. Functions that the command calls may run commands of their own meanwhile, and
// savepoints.
struct Rewrite {
    Oid table;
    SubTransactionId noted_in;
    SubTransactionId told_in;  // InvalidSubTransactionId: not yet
};

// In TopTransactionContext, whose end takes it along; null: none.
List* rewrites = NIL;

void on_end(XactEvent, void*) { rewrites = NIL; }

// What was noted, or told, in a savepoint that is rolled back, or inside it, was not: the numbers of those inside are
// greater.
void on_savepoint(SubXactEvent event, SubTransactionId ended, SubTransactionId, void*) {
    if (event != SUBXACT_EVENT_ABORT_SUB) return;
    ListCell* cell = nullptr;
    foreach (cell, rewrites) {
        auto* const rewrite = static_cast<Rewrite*>(lfirst(cell));
        if (rewrite->told_in >= ended) rewrite->told_in = InvalidSubTransactionId;
        if (rewrite->noted_in >= ended) rewrites = foreach_delete_current(rewrites, cell);
    }
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
    noted->told_in = InvalidSubTransactionId;
    rewrites = lappend(rewrites, noted);
    MemoryContextSwitchTo(before);
}

Datum noted_rewrites() {
    auto* const oids = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<size_t>(list_length(rewrites) + 1)));
    int count = 0;
    ListCell* cell = nullptr;
    foreach (cell, rewrites) {
        const auto* const rewrite = static_cast<const Rewrite*>(lfirst(cell));
        if (rewrite->told_in == InvalidSubTransactionId) oids[count++] = ObjectIdGetDatum(rewrite->table);
    }
    return PointerGetDatum(construct_array(oids, count, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

void end_rewrite(Oid table) {
    ListCell* cell = nullptr;
    foreach (cell, rewrites) {
        auto* const rewrite = static_cast<Rewrite*>(lfirst(cell));
        if (rewrite->table == table && rewrite->told_in == InvalidSubTransactionId)
            rewrite->told_in = GetCurrentSubTransactionId();
    }
}

}  // namespace paysync

#include "ddl/rewrites.hpp"

namespace paysync {
namespace {

// Oids, in TopTransactionContext; null outside a command that rewrites.
List* rewritten = NIL;

// Its memory goes with the transaction. A rolled back savepoint takes the command along that noted them.
void on_end(XactEvent, void*) { rewritten = NIL; }
void on_savepoint(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
    if (event == SUBXACT_EVENT_ABORT_SUB) rewritten = NIL;
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
    rewritten =
        lappend_oid(rewritten, DatumGetObjectId(DirectFunctionCall1(pg_event_trigger_table_rewrite_oid, Datum{0})));
    MemoryContextSwitchTo(before);
}

Datum take_rewrites() {
    const int count = list_length(rewritten);
    auto* const oids = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<size_t>(count + 1)));
    for (int i = 0; i < count; ++i) oids[i] = ObjectIdGetDatum(list_nth_oid(rewritten, i));
    rewritten = NIL;
    return PointerGetDatum(construct_array(oids, count, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

}  // namespace paysync

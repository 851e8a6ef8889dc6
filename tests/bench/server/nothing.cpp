// Loaded into a server by the benchmark of alternatives: triggers that do nothing, so that what is counted is what the
// server does to fire them.
#include "postgres.hpp"

extern "C" {

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(bench_nothing);
PG_FUNCTION_INFO_V1(bench_read_all);
PG_FUNCTION_INFO_V1(bench_not_queued);

// A trigger that does nothing.
PGDLLEXPORT Datum bench_nothing(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    return PointerGetDatum(nullptr);
}

static void read_all(Tuplestorestate* rows, Relation relation) {
    if (rows == nullptr) return;
    TupleTableSlot* const slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsMinimalTuple);
    tuplestore_rescan(rows);
    while (tuplestore_gettupleslot(rows, true, false, slot)) CHECK_FOR_INTERRUPTS();
    ExecDropSingleTupleTableSlot(slot);
}

// A statement trigger that reads its transition tables from beginning to end.
PGDLLEXPORT Datum bench_read_all(PG_FUNCTION_ARGS) {
    const auto* const trigger = reinterpret_cast<TriggerData*>(fcinfo->context);
    read_all(trigger->tg_oldtable, trigger->tg_relation);
    read_all(trigger->tg_newtable, trigger->tg_relation);
    return PointerGetDatum(nullptr);
}

// bench_not_queued(record) returns boolean, for a WHEN clause: it is called where the row changes, and what it returns
// keeps the server from queueing the event.
PGDLLEXPORT Datum bench_not_queued(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    return BoolGetDatum(false);
}
}

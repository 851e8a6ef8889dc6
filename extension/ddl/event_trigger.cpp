// The event triggers: what DDL does to registered tables is told in its own transaction. Here is what decides whether
// that is anything; what it is, is SQL (sql/38_reconcile.sql, sql/39_ddl.sql), run as the owner of the extension.
#include "ddl/command_kind.hpp"
#include "ddl/own_command.hpp"
#include "ddl/rewrites.hpp"
#include "owner_rights.hpp"

namespace paysync {
namespace {

// Rows of `query` as of now, whatever the transaction's snapshot: a registration that it does not see counts too. The
// names are qualified and there are no operators, since the search path is the caller's.
void look_up(const char* query, int arguments, Oid* types, Datum* values) {
    const SPIPlanPtr plan = SPI_prepare(query, arguments, types);
    if (plan == nullptr) ereport(ERROR, (errmsg("could not prepare a query of schema paysync")));
    (void)SPI_execute_snapshot(plan, values, nullptr, GetLatestSnapshot(), InvalidSnapshot, true, false, 0);
}

Datum field(SPITupleTable* table, uint64 row, int column) {
    bool is_null = false;
    return SPI_getbinval(table->vals[row], table->tupdesc, column, &is_null);
}

// What CASCADE of an ALTER TABLE dropped on other tables than its own; in TopTransactionContext, and looked at when it
// ends.
List* cascaded = NIL;         // Oids of registered tables
List* cascaded_retold = NIL;  // those of them that hold a type which lost an attribute

void on_end(XactEvent, void*) { cascaded = cascaded_retold = NIL; }

void note_cascade() {
    static bool watching = false;
    if (!watching) RegisterXactCallback(on_end, nullptr);
    watching = true;
    look_up("SELECT root, retold FROM paysync.cascaded_roots()", 0, nullptr, nullptr);
    const MemoryContext before = MemoryContextSwitchTo(TopTransactionContext);
    for (uint64 row = 0; row < SPI_processed; ++row) {
        const Oid root = DatumGetObjectId(field(SPI_tuptable, row, 1));
        cascaded = list_append_unique_oid(cascaded, root);
        if (DatumGetBool(field(SPI_tuptable, row, 2))) cascaded_retold = list_append_unique_oid(cascaded_retold, root);
    }
    MemoryContextSwitchTo(before);
}

// What was rewritten of a tree is told; other tables' notes belong to commands that have not ended yet.
void end_rewrites_of(Datum root) {
    Oid types[] = {OIDOID};
    (void)SPI_execute_with_args("SELECT paysync.tree($1)", 1, types, &root, nullptr, true, 0);
    for (uint64 row = 0; row < SPI_processed; ++row) end_rewrite(DatumGetObjectId(field(SPI_tuptable, row, 1)));
}

// The roots among `count` rows of `found` that have something to tell; their members are locked together, so that no
// payment gets into a deadlock with a command that reaches several.
List* roots_to_tell(SPITupleTable* found, uint64 count) {
    List* rows = NIL;
    auto* const roots = static_cast<Datum*>(palloc(sizeof(Datum) * (count + 1)));
    int told = 0;
    Oid types[] = {REGCLASSOID, OIDARRAYOID, TEXTARRAYOID};
    for (uint64 row = 0; row < count; ++row) {
        CHECK_FOR_INTERRUPTS();
        Datum values[] = {field(found, row, 1), noted_rewrites(), field(found, row, 2)};
        look_up("SELECT paysync.needs_reconcile($1, $2, $3)", 3, types, values);
        if (!DatumGetBool(field(SPI_tuptable, 0, 1))) continue;
        rows = lappend_int(rows, static_cast<int>(row));
        roots[told++] = values[0];
    }
    if (told > 1) {
        Oid array[] = {OIDARRAYOID};
        Datum all[] = {PointerGetDatum(construct_array(roots, told, OIDOID, sizeof(Oid), true, TYPALIGN_INT))};
        (void)SPI_execute_with_args("SELECT paysync.lock_all_told($1)", 1, array, all, nullptr, false, 0);
    }
    return rows;
}

void end_command(CommandKind kind) {
    Oid flag[] = {BOOLOID};
    Datum retells[] = {BoolGetDatum(kind.retells)};
    if (kind.inherits) look_up("SELECT paysync.refuse_registered_members()", 0, nullptr, nullptr);
    look_up("SELECT root, reasons FROM paysync.ddl_roots($1)", 1, flag, retells);
    const uint64 count = SPI_processed;
    SPITupleTable* const found = SPI_tuptable;
    Oid types[] = {REGCLASSOID, OIDARRAYOID, TEXTARRAYOID};
    ListCell* cell = nullptr;
    foreach (cell, roots_to_tell(found, count)) {
        const auto row = static_cast<uint64>(lfirst_int(cell));
        Datum values[] = {field(found, row, 1), noted_rewrites(), field(found, row, 2)};
        cascaded = list_delete_oid(cascaded, DatumGetObjectId(values[0]));
        (void)SPI_execute_with_args("SELECT paysync.reconcile($1, $2, $3)", 3, types, values, nullptr, false, 0);
        end_rewrites_of(values[0]);
    }
}

void end_drop() {
    look_up(
        "SELECT pg_catalog.array_agg(root) FROM paysync.dropped_roots() AS root HAVING pg_catalog.count(*) "
        "OPERATOR(pg_catalog.>) 0",
        0, nullptr, nullptr);
    if (SPI_processed == 0) return;
    Oid types[] = {OIDARRAYOID};
    Datum values[] = {field(SPI_tuptable, 0, 1)};
    (void)SPI_execute_with_args("SELECT paysync.reconcile_dropped($1)", 1, types, values, nullptr, false, 0);
}

void end_cascade() {
    while (cascaded != NIL) {
        const Oid root = linitial_oid(cascaded);
        const bool retold = list_member_oid(cascaded_retold, root);
        cascaded = list_delete_first(cascaded);
        cascaded_retold = list_delete_oid(cascaded_retold, root);
        Oid types[] = {OIDOID, BOOLOID};
        Datum values[] = {ObjectIdGetDatum(root), BoolGetDatum(retold)};
        look_up("SELECT paysync.needs_reconcile_after_cascade($1, $2)", 2, types, values);
        if (!DatumGetBool(field(SPI_tuptable, 0, 1))) continue;
        (void)SPI_execute_with_args("SELECT paysync.reconcile_cascaded($1, $2)", 2, types, values, nullptr, false, 0);
    }
}

// A command that ends in ddl_command_end is looked at there, with all that it did.
bool ends_later(CommandTag tag) {
    return tag == CMDTAG_ALTER_TABLE || tag == CMDTAG_ALTER_TYPE || tag == CMDTAG_ALTER_FOREIGN_TABLE;
}

void handle(FunctionCallInfo fcinfo, const EventTriggerData& event) {
    if (strcmp(event.event, "table_rewrite") == 0) return note_rewrite();
    const bool drops = strcmp(event.event, "sql_drop") == 0;
    const CommandKind kind = drops ? CommandKind{} : kind_of_command(event.parsetree);
    if (drops ? runs_own_command() : ends_own_command()) return;
    if (!drops && !kind.matters) return;
    const Oid owner = function_owner(fcinfo);
    if (SPI_connect() != SPI_OK_CONNECT) ereport(ERROR, (errmsg("could not connect to the query executor")));
    const CallerIdentity caller = become(owner);
    if (drops && ends_later(event.tag)) {
        note_cascade();
    } else if (drops) {
        end_drop();
    } else {
        end_command(kind);
        end_cascade();
    }
    become_again(caller);
    SPI_finish();
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_ddl_command);
PG_FUNCTION_INFO_V1(paysync_ddl_event);

// Function of the event triggers !paysync_ddl, !paysync_drop and !paysync_rewrite.
PGDLLEXPORT Datum paysync_ddl_command(PG_FUNCTION_ARGS) {
    if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("paysync.ddl_event() is an event trigger function")));
    paysync::handle(fcinfo, *reinterpret_cast<EventTriggerData*>(fcinfo->context));
    return PointerGetDatum(nullptr);
}

// The same for the SQL of versions before 0.3.
PGDLLEXPORT Datum paysync_ddl_event(PG_FUNCTION_ARGS) { return paysync_ddl_command(fcinfo); }
}

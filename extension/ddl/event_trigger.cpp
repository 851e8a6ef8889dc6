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

// What was rewritten of a tree is told; other tables' notes belong to commands that have not ended yet.
void forget_rewrites_of(Datum root) {
    Oid types[] = {OIDOID};
    (void)SPI_execute_with_args("SELECT paysync.tree($1)", 1, types, &root, nullptr, true, 0);
    for (uint64 row = 0; row < SPI_processed; ++row) forget_rewrite(DatumGetObjectId(field(SPI_tuptable, row, 1)));
}

void end_command(CommandKind kind) {
    Oid flag[] = {BOOLOID};
    Datum retells[] = {BoolGetDatum(kind.retells)};
    if (kind.inherits) look_up("SELECT paysync.refuse_registered_members()", 0, nullptr, nullptr);
    look_up("SELECT root, reasons FROM paysync.ddl_roots($1)", 1, flag, retells);
    const uint64 roots = SPI_processed;
    SPITupleTable* const found = SPI_tuptable;
    Oid types[] = {REGCLASSOID, OIDARRAYOID, TEXTARRAYOID};
    for (uint64 row = 0; row < roots; ++row) {
        CHECK_FOR_INTERRUPTS();
        Datum values[] = {field(found, row, 1), noted_rewrites(), field(found, row, 2)};
        look_up("SELECT paysync.needs_reconcile($1, $2, $3)", 3, types, values);
        if (!DatumGetBool(field(SPI_tuptable, 0, 1))) continue;
        (void)SPI_execute_with_args("SELECT paysync.reconcile($1, $2, $3)", 3, types, values, nullptr, false, 0);
        forget_rewrites_of(values[0]);
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

// A command that ends in ddl_command_end is looked at there, with all that it did.
bool ends_later(CommandTag tag) {
    return tag == CMDTAG_ALTER_TABLE || tag == CMDTAG_ALTER_TYPE || tag == CMDTAG_ALTER_FOREIGN_TABLE;
}

void handle(FunctionCallInfo fcinfo, const EventTriggerData& event) {
    if (strcmp(event.event, "table_rewrite") == 0) return note_rewrite();
    const bool drops = strcmp(event.event, "sql_drop") == 0;
    if (drops && ends_later(event.tag)) return;
    const CommandKind kind = drops ? CommandKind{} : kind_of_command(event.parsetree);
    if (runs_own_command() || (!drops && !kind.matters)) return;
    const Oid owner = function_owner(fcinfo);
    if (SPI_connect() != SPI_OK_CONNECT) ereport(ERROR, (errmsg("could not connect to the query executor")));
    const CallerIdentity caller = become(owner);
    if (drops) {
        end_drop();
    } else {
        end_command(kind);
    }
    become_again(caller);
    SPI_finish();
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_ddl_event);

// Function of the event triggers paysync_ddl, paysync_drop and paysync_rewrite.
PGDLLEXPORT Datum paysync_ddl_event(PG_FUNCTION_ARGS) {
    if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("paysync.ddl_event() is an event trigger function")));
    paysync::handle(fcinfo, *reinterpret_cast<EventTriggerData*>(fcinfo->context));
    return PointerGetDatum(nullptr);
}
}

// The C side of registration: who may register, and the first shape. The rest is SQL (sql/).
#include "capture/relation_cache.hpp"
#include "owner_rights.hpp"

namespace paysync {
namespace {

// Fails unless the caller owns the table. Says nothing of tables that do not exist but by their number.
void check_owner(Oid relation) {
    const char* name = get_rel_name(relation);
    if (name == nullptr)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", relation)));
    if (!owns_relation(relation, GetUserId()))
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of table \"%s\"", name),
                        errhint("Only a table's owner may say that its rows leave the database.")));
}

// Calls `function` of schema paysync, with the same arguments, as the owner of the extension.
void call_as_owner(FunctionCallInfo fcinfo, const char* command, int arguments, Oid* types) {
    if (fcinfo->args[0].isnull)
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("argument \"table_name\" is null")));
    check_owner(DatumGetObjectId(fcinfo->args[0].value));
    Datum values[FUNC_MAX_ARGS];
    char nulls[FUNC_MAX_ARGS];
    for (int i = 0; i < arguments; ++i) {
        values[i] = fcinfo->args[i].value;
        nulls[i] = fcinfo->args[i].isnull ? 'n' : ' ';
    }
    const Oid owner = function_owner(fcinfo);
    if (SPI_connect() != SPI_OK_CONNECT) ereport(ERROR, (errmsg("could not connect to the query executor")));
    const CallerIdentity caller = become(owner);
    (void)SPI_execute_with_args(command, arguments, types, values, nulls, false, 0);
    become_again(caller);
    SPI_finish();
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_register);
PG_FUNCTION_INFO_V1(paysync_unregister);
PG_FUNCTION_INFO_V1(paysync_note_shape);

// paysync.register(table_name regclass, channel text, operations text[], options jsonb) returns void.
PGDLLEXPORT Datum paysync_register(PG_FUNCTION_ARGS) {
    Oid types[] = {REGCLASSOID, TEXTOID, TEXTARRAYOID, JSONBOID};
    paysync::call_as_owner(fcinfo, "SELECT paysync.register_table($1, $2, $3, $4)", 4, types);
    PG_RETURN_VOID();
}

// paysync.unregister(table_name regclass) returns void.
PGDLLEXPORT Datum paysync_unregister(PG_FUNCTION_ARGS) {
    Oid types[] = {REGCLASSOID};
    paysync::call_as_owner(fcinfo, "SELECT paysync.unregister_table($1)", 1, types);
    PG_RETURN_VOID();
}

// paysync.note_shape(table_name regclass) returns bigint: writes down the table's shape in the transaction that
// registers it, so that no writer has to.
PGDLLEXPORT Datum paysync_note_shape(PG_FUNCTION_ARGS) {
    const Relation relation = relation_open(PG_GETARG_OID(0), AccessShareLock);
    const int64 shape = paysync::captured_table(relation).shape;
    relation_close(relation, AccessShareLock);
    PG_RETURN_INT64(shape);
}
}

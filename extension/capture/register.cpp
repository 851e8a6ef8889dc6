// The C side of registration: who may register, the lock, and the first shape. The rest is SQL (sql/36_register.sql).
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

// Locks a table and all that belongs to it, so that whatever writes afterwards sees what is decided here. What cannot
// be registered is left alone; it is refused later.
void lock_tree(Oid relation, LOCKMODE mode) {
    const char kind = get_rel_relkind(relation);
    if ((kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) || relation < FirstNormalObjectId) return;
    LockRelationOid(relation, mode);
    (void)find_all_inheritors(relation, mode, nullptr);
    // It may have been given away, or dropped, before the lock was there.
    check_owner(relation);
}

// Calls a function of schema paysync as the owner of the extension, with the same arguments and, with
// `takes_path`, one more: the search path of the caller.
void call_as_owner(FunctionCallInfo fcinfo, const char* command, const Oid* types, LOCKMODE mode, bool takes_path) {
    if (fcinfo->args[0].isnull)
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("argument \"table_name\" is null")));
    check_owner(DatumGetObjectId(fcinfo->args[0].value));
    lock_tree(DatumGetObjectId(fcinfo->args[0].value), mode);
    Datum values[FUNC_MAX_ARGS + 1];
    char nulls[FUNC_MAX_ARGS + 1];
    for (int i = 0; i < PG_NARGS(); ++i) {
        values[i] = fcinfo->args[i].value;
        nulls[i] = fcinfo->args[i].isnull ? 'n' : ' ';
    }
    values[PG_NARGS()] = CStringGetTextDatum(namespace_search_path);
    nulls[PG_NARGS()] = ' ';
    const Oid owner = function_owner(fcinfo);
    if (SPI_connect() != SPI_OK_CONNECT) ereport(ERROR, (errmsg("could not connect to the query executor")));
    const CallerIdentity caller = become(owner);
    (void)SPI_execute_with_args(command, PG_NARGS() + (takes_path ? 1 : 0), const_cast<Oid*>(types), values, nulls,
                                false, 0);
    become_again(caller);
    SPI_finish();
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_register);
PG_FUNCTION_INFO_V1(paysync_alter_registration);
PG_FUNCTION_INFO_V1(paysync_unregister);
PG_FUNCTION_INFO_V1(paysync_note_shape);

// paysync.register(table_name regclass, channel text, operations text[], columns text[], row_filter text, masks jsonb,
// old_values text, key_columns text[], new_columns text, options jsonb) returns void; in 0.1 without what stands
// between operations and options.
PGDLLEXPORT Datum paysync_register(PG_FUNCTION_ARGS) {
    static const Oid kTypes[] = {REGCLASSOID, TEXTOID,      TEXTARRAYOID, TEXTARRAYOID, TEXTOID, JSONBOID,
                                 TEXTOID,     TEXTARRAYOID, TEXTOID,      JSONBOID,     TEXTOID};
    static const Oid kTypesOf01[] = {REGCLASSOID, TEXTOID, TEXTARRAYOID, JSONBOID};
    if (PG_NARGS() == 4)
        paysync::call_as_owner(fcinfo, "SELECT paysync.register_table($1, $2, $3, $4)", kTypesOf01,
                               ShareRowExclusiveLock, false);
    else
        paysync::call_as_owner(fcinfo, "SELECT paysync.register_table($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                               kTypes, ShareRowExclusiveLock, true);
    PG_RETURN_VOID();
}

// paysync.alter_registration(as register, allow_unmask boolean) returns void.
PGDLLEXPORT Datum paysync_alter_registration(PG_FUNCTION_ARGS) {
    static const Oid kTypes[] = {REGCLASSOID, TEXTOID,      TEXTARRAYOID, TEXTARRAYOID, TEXTOID, JSONBOID,
                                 TEXTOID,     TEXTARRAYOID, TEXTOID,      JSONBOID,     BOOLOID, TEXTOID};
    paysync::call_as_owner(fcinfo,
                           "SELECT paysync.alter_table_registration($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                           kTypes, ShareRowExclusiveLock, true);
    PG_RETURN_VOID();
}

// paysync.unregister(table_name regclass) returns void.
PGDLLEXPORT Datum paysync_unregister(PG_FUNCTION_ARGS) {
    static const Oid kTypes[] = {REGCLASSOID};
    // Dropping a trigger takes this lock; taking it at once saves from a deadlock.
    paysync::call_as_owner(fcinfo, "SELECT paysync.unregister_table($1)", kTypes, AccessExclusiveLock, false);
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

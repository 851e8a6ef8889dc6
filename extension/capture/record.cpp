// What registration, event triggers and upkeep ask of capture.
#include "capture/gap.hpp"
#include "capture/shape_registry.hpp"
#include "capture/transaction_buffer.hpp"
#include "row_output.hpp"

namespace paysync {
namespace {

Datum server_text(wire::Bytes utf8) {
    const char* const text =
        pg_any_to_server(pnstrdup(utf8.data(), utf8.size()), static_cast<int>(utf8.size()), PG_UTF8);
    return CStringGetTextDatum(text);
}

void put_columns(const RowOutput& rows, int64 shape, wire::Bytes description) {
    wire::Reader reader(description);
    wire::ShapeHead head;
    bool valid = wire::read_shape_head(reader, head);
    for (uint32_t i = 0; valid && i < head.columns; ++i) {
        wire::Column column;
        valid = wire::read_column(reader, column);
        if (!valid) break;
        const Datum values[] = {Int32GetDatum(column.number), server_text(column.name), server_text(column.type),
                                Int32GetDatum(static_cast<int32>(column.form))};
        const bool nulls[] = {false, false, false, false};
        put_row(rows, values, nulls);
    }
    if (!valid)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("description of shape %lld is damaged", static_cast<long long>(shape))));
}

// Whether a scan with `snapshot` finds no row in the relation itself.
bool has_no_row(Relation relation, Snapshot snapshot) {
    TupleTableSlot* const slot = table_slot_create(relation, nullptr);
    const TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
    const bool found = table_scan_getnextslot(scan, ForwardScanDirection, slot);
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    return !found;
}

bool is_empty(Oid root) {
    List* const members = find_all_inheritors(root, AccessShareLock, nullptr);
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    bool empty = true;
    ListCell* cell = nullptr;
    foreach (cell, members) {
        const Relation member = relation_open(lfirst_oid(cell), NoLock);
        if (member->rd_rel->relkind == RELKIND_RELATION || member->rd_rel->relkind == RELKIND_MATVIEW)
            empty = has_no_row(member, snapshot);
        relation_close(member, NoLock);
        if (!empty) break;
    }
    UnregisterSnapshot(snapshot);
    return empty;
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_keep_always);
PG_FUNCTION_INFO_V1(paysync_discards);
PG_FUNCTION_INFO_V1(paysync_writes_segment);
PG_FUNCTION_INFO_V1(paysync_record_gap);
PG_FUNCTION_INFO_V1(paysync_shape_columns);
PG_FUNCTION_INFO_V1(paysync_is_empty);
PG_FUNCTION_INFO_V1(paysync_forget);

// paysync.keep_always() returns void: what this transaction captures is kept, also where capture is suspended or
// refuses.
PGDLLEXPORT Datum paysync_keep_always(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    paysync::keep_always();
    PG_RETURN_VOID();
}

// paysync.discards() returns bool: this transaction threw away what it captured, and will throw away the rest.
PGDLLEXPORT Datum paysync_discards(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    PG_RETURN_BOOL(paysync::discards());
}

// paysync.writes_segment(slot int) returns bool: this transaction's capture has chosen that segment to write to.
PGDLLEXPORT Datum paysync_writes_segment(PG_FUNCTION_ARGS) {
    PG_RETURN_BOOL(paysync::writes_segment(PG_GETARG_INT32(0)));
}

// paysync.record_gap(shape bigint, reason text) returns void: a gap in the shape's channel, at this place of the
// transaction. The table may be gone.
PGDLLEXPORT Datum paysync_record_gap(PG_FUNCTION_ARGS) {
    const int64 shape = PG_GETARG_INT64(0);
    const char* const reason = text_to_cstring(PG_GETARG_TEXT_PP(1));
    const char* const channel = paysync::read_shape(shape).channel;
    paysync::buffer_gap(shape, channel, GetCurrentCommandId(true), reason);
    PG_RETURN_VOID();
}

// paysync.shape_columns(shape bigint) returns table (number int, name text, type text, form int), in the shape's order.
PGDLLEXPORT Datum paysync_shape_columns(PG_FUNCTION_ARGS) {
    const paysync::RowOutput rows = paysync::begin_rows(fcinfo);
    const int64 shape = PG_GETARG_INT64(0);
    paysync::put_columns(rows, shape, paysync::read_shape(shape).description);
    return Datum{0};
}

// paysync.is_empty(table_name regclass) returns boolean: neither the table nor what inherits from it has a row, as of
// now, also where the transaction's own snapshot is older.
PGDLLEXPORT Datum paysync_is_empty(PG_FUNCTION_ARGS) { PG_RETURN_BOOL(paysync::is_empty(PG_GETARG_OID(0))); }

// paysync.forget(table_name regclass) returns void: every session looks the registration up again once this transaction
// committed, this one at its next command.
PGDLLEXPORT Datum paysync_forget(PG_FUNCTION_ARGS) {
    // Somebody may drop a partition at this very moment.
    if (SearchSysCacheExists1(RELOID, PG_GETARG_DATUM(0))) CacheInvalidateRelcacheByRelid(PG_GETARG_OID(0));
    PG_RETURN_VOID();
}
}

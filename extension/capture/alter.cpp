// paysync.record_alter(): a table's columns changed, and its rows with them in a way that can be said once for all.
#include "capture/gap.hpp"
#include "capture/pinned_settings.hpp"
#include "capture/relation_cache.hpp"
#include "capture/shape_registry.hpp"
#include "capture/transaction_buffer.hpp"
#include "capture/value_encoder.hpp"
#include "wire/change.hpp"

namespace paysync {
namespace {

// Whether a description has a column with this number, or, where it has no numbers yet, with this name.
bool has_column(wire::Bytes description, int number, const char* name) {
    wire::Reader reader(description);
    wire::ShapeHead head;
    if (!wire::read_shape_head(reader, head)) return false;
    for (uint32_t i = 0; i < head.columns; ++i) {
        wire::Column column;
        if (!wire::read_column(reader, column)) return false;
        if (column.number != 0 ? column.number == number : column.name == to_utf8(name)) return true;
    }
    return false;
}

// What the rows that are there have in a column that they were written without.
struct Missing {
    bool known;  // every member with rows of its own says the same
    bool is_null;
    Datum value;
};

Missing missing_in(Relation member, const char* name) {
    const AttrNumber number = get_attnum(RelationGetRelid(member), name);
    if (number <= 0) return Missing{false, true, 0};
    const TupleDesc columns = RelationGetDescr(member);
    const Form_pg_attribute attribute = TupleDescAttr(columns, number - 1);
    if (!attribute->atthasmissing || columns->constr == nullptr || columns->constr->missing == nullptr)
        return Missing{true, true, 0};
    const AttrMissing& missing = columns->constr->missing[number - 1];
    if (!missing.am_present) return Missing{true, true, 0};
    return Missing{true, false, datumCopy(missing.am_value, attribute->attbyval, attribute->attlen)};
}

bool same(const Missing& left, const Missing& right, const CapturedColumn& column) {
    if (left.is_null || right.is_null) return left.is_null == right.is_null;
    return datum_image_eq(left.value, right.value, column.by_value, column.length);
}

// A partitioned table has no rows of its own, its partitions tell; an inheriting table may have had the column before.
Missing missing_of(Relation relation, const CapturedTable& table, const CapturedColumn& column) {
    const char* const name = NameStr(TupleDescAttr(RelationGetDescr(relation), column.attribute)->attname);
    if (table.reports_parts || !relation->rd_rel->relhassubclass) return missing_in(relation, name);
    Missing all{true, true, 0};
    bool is_first = true;
    ListCell* cell = nullptr;
    foreach (cell, find_all_inheritors(RelationGetRelid(relation), AccessShareLock, nullptr)) {
        const Relation member = relation_open(lfirst_oid(cell), NoLock);
        if (member->rd_rel->relkind == RELKIND_RELATION && member->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT) {
            const Missing here = missing_in(member, name);
            if (is_first) all = here;
            all.known = all.known && here.known && same(all, here, column);
            is_first = false;
        }
        relation_close(member, NoLock);
    }
    return all;
}

// The map from positions of new columns to their values; false if it cannot be said for all rows at once.
bool pack_new_values(ByteBuffer& out, Relation relation, const CapturedTable& table, wire::Bytes previous) {
    auto* const missing = static_cast<Missing*>(palloc(sizeof(Missing) * static_cast<size_t>(table.columns + 1)));
    uint32_t count = 0;
    bool known = true;
    for (int i = 0; i < table.columns; ++i) {
        const CapturedColumn& column = table.column[i];
        missing[i] = Missing{true, true, 0};
        const char* const name = NameStr(TupleDescAttr(RelationGetDescr(relation), column.attribute)->attname);
        if (has_column(previous, column.number, name)) continue;
        missing[i] = missing_of(relation, table, column);
        known = known && missing[i].known;
        count += missing[i].is_null ? 0 : 1;
    }
    Packer packer(out);
    packer.pack_map(count);
    for (int i = 0; i < table.columns; ++i) {
        if (missing[i].is_null) continue;
        packer.pack_int(i);
        pack_value(packer, table.column[i].coding, missing[i].value);
    }
    return known;
}

// `table` are the facts of `relation`, under whose own name rows are reported.
int64 record_alter(Relation relation, const CapturedTable& table, int64 previous) {
    if (table.shape == previous) return previous;
    const StoredShape before = read_shape(previous);
    if (before.description == read_shape(table.shape).description) return previous;
    const CommandId command = GetCurrentCommandId(true);
    const int settings = pin_settings(table.pins_path);
    ByteBuffer alter{};
    alter.start(CurrentMemoryContext);
    Packer packer(alter);
    packer.pack_array(5);
    packer.pack_uint64(static_cast<uint64>(wire::Operation::kAlter));
    packer.pack_int64(table.shape);
    packer.pack_uint64(command);
    packer.pack_int64(previous);
    const bool known = pack_new_values(alter, relation, table, before.description);
    leave_settings(settings);
    buffer_change(alter.bytes(), command, table.shape, table.channel);
    name_shape(previous, table.channel);
    if (!known)
        buffer_gap(table.shape, table.channel, command, "rows have different values in a column that was added");
    return table.shape;
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_record_alter);

// paysync.record_alter(table_name regclass, previous bigint) returns bigint: the shape with which changes are written
// now. Where it is not `previous`, the stream has an alter from that to this. Of a relation that is reported as another
// one, the other one's is recorded.
PGDLLEXPORT Datum paysync_record_alter(PG_FUNCTION_ARGS) {
    const int64 previous = PG_GETARG_INT64(1);
    Relation relation = relation_open(PG_GETARG_OID(0), AccessShareLock);
    const paysync::CapturedTable* table = &paysync::captured_table(relation);
    if (table->reported_as_root) {
        const Oid root = table->registered;
        relation_close(relation, NoLock);
        relation = relation_open(root, AccessShareLock);
        table = &paysync::captured_table(relation);
    }
    const int64 shape = paysync::record_alter(relation, *table, previous);
    relation_close(relation, NoLock);
    PG_RETURN_INT64(shape);
}
}

#include "capture/shape_registry.hpp"

#include "byte_buffer.hpp"
#include "capture/mask.hpp"
#include "capture/pinned_settings.hpp"
#include "capture/totals.hpp"
#include "outbox/rows.hpp"
#include "wire/digest.hpp"

namespace paysync {
namespace {

// Columns of paysync.shapes, from 1.
enum ShapesColumn { kId = 1, kFingerprint, kDescription, kSchema, kTable, kChannel, kShapesColumns = kChannel };

// The type as SQL names it, whatever the session's search path.
char* type_name(Form_pg_attribute attribute) {
    const Oid element = get_element_type(attribute->atttypid);
    const HeapTuple tuple =
        SearchSysCache1(TYPEOID, ObjectIdGetDatum(OidIsValid(element) ? element : attribute->atttypid));
    if (!HeapTupleIsValid(tuple))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("type %u does not exist", attribute->atttypid)));
    const bool built_in = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple))->typnamespace == PG_CATALOG_NAMESPACE;
    ReleaseSysCache(tuple);
    const bits16 flags = FORMAT_TYPE_TYPEMOD_GIVEN | (built_in ? 0 : FORMAT_TYPE_FORCE_QUALIFY);
    return format_type_extended(attribute->atttypid, attribute->atttypmod, flags);
}

void describe(Relation shaped, const CapturedTable& table, ByteBuffer& out) {
    Packer packer(out);
    packer.pack_array(5);
    pack_text(packer, to_utf8(get_namespace_name(RelationGetNamespace(shaped))));
    pack_text(packer, to_utf8(RelationGetRelationName(shaped)));
    pack_text(packer, to_utf8(table.channel));
    packer.pack_array(static_cast<uint32_t>(table.columns));
    for (int column = 0; column < table.columns; ++column) {
        const CapturedColumn& captured = table.column[column];
        const Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(shaped), captured.number - 1);
        const bool is_text = captured.coding.mask != nullptr && sends_text(*captured.coding.mask);
        packer.pack_array(4);
        pack_text(packer, to_utf8(NameStr(attribute->attname)));
        pack_text(packer, is_text ? wire::Bytes("text") : to_utf8(type_name(attribute)));
        packer.pack_uint64(static_cast<uint64>(captured.form));
        packer.pack_int(captured.number);
    }
    packer.pack_array(static_cast<uint32_t>(table.keys));
    for (int key = 0; key < table.keys; ++key) packer.pack_int(table.key[key]);
}

Datum bytea_datum(wire::Bytes bytes) {
    auto* const datum = static_cast<bytea*>(palloc(VARHDRSZ + bytes.size()));
    SET_VARSIZE(datum, VARHDRSZ + bytes.size());
    memcpy(VARDATA(datum), bytes.data(), bytes.size());
    return PointerGetDatum(datum);
}

// The id of the shape with this fingerprint, the lowest if several sessions added it, 0 if there is none. `is_new`: it
// was added by the running transaction, maybe by an earlier savepoint of it, and vanishes with it. Seen too is what the
// running statement added before it had to look the table up again; no row of this table is ever changed.
int64 find_shape(Datum fingerprint, bool& is_new) {
    const Relation shapes = table_open(catalog().shapes.table, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, kFingerprint, BTEqualStrategyNumber, F_BYTEAEQ, fingerprint);
    const SysScanDesc scan = systable_beginscan(shapes, catalog().shapes_by_fingerprint, true, SnapshotSelf, 1, &key);
    int64 found = 0;
    for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
        bool is_null = false;
        const int64 id = DatumGetInt64(heap_getattr(tuple, kId, RelationGetDescr(shapes), &is_null));
        if (found != 0 && found < id) continue;
        found = id;
        is_new = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
    }
    systable_endscan(scan);
    table_close(shapes, AccessShareLock);
    return found;
}

int64 add_shape(Relation shaped, const CapturedTable& table, Datum fingerprint, Datum description) {
    const int64 id = nextval_internal(catalog().shapes_sequence, false);
    const Datum values[kShapesColumns] = {Int64GetDatum(id),
                                          fingerprint,
                                          description,
                                          CStringGetTextDatum(get_namespace_name(RelationGetNamespace(shaped))),
                                          CStringGetTextDatum(RelationGetRelationName(shaped)),
                                          CStringGetTextDatum(table.channel)};
    const bool nulls[kShapesColumns] = {};
    insert_row(catalog().shapes.table, values, nulls);
    return id;
}

}  // namespace

int64 shape_of(Relation shaped, const CapturedTable& table, bool& is_new) {
    ByteBuffer description{};
    description.start(CurrentMemoryContext);
    // Names of types are printed by the path and the quoting of the session: one table has one shape whoever writes.
    const int settings = pin_settings(true);
    describe(shaped, table, description);
    leave_settings(settings);
    char digest[wire::kDigestBytes];
    wire::put_digest(digest, wire::digest_of(description.bytes()));
    const Datum fingerprint = bytea_datum(wire::Bytes(digest, sizeof digest));
    is_new = true;
    const int64 found = find_shape(fingerprint, is_new);
    return found != 0 ? found : add_shape(shaped, table, fingerprint, bytea_datum(description.bytes()));
}

StoredShape read_shape(int64 id) {
    const Relation shapes = table_open(catalog().shapes.table, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, kId, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(id));
    const SysScanDesc scan = systable_beginscan(shapes, catalog().shapes.index, true, SnapshotSelf, 1, &key);
    const HeapTuple tuple = systable_getnext(scan);
    if (!HeapTupleIsValid(tuple))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("there is no shape %lld", static_cast<long long>(id))));
    bool is_null = false;
    const bytea* const description =
        DatumGetByteaPCopy(heap_getattr(tuple, kDescription, RelationGetDescr(shapes), &is_null));
    StoredShape shape{};
    shape.description = wire::Bytes(VARDATA(description), VARSIZE(description) - VARHDRSZ);
    shape.channel =
        intern_channel(TextDatumGetCString(heap_getattr(tuple, kChannel, RelationGetDescr(shapes), &is_null)));
    systable_endscan(scan);
    table_close(shapes, AccessShareLock);
    return shape;
}

}  // namespace paysync

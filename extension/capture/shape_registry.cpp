#include "capture/shape_registry.hpp"

#include "byte_buffer.hpp"
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

void describe(Relation relation, const CapturedTable& table, ByteBuffer& out) {
    Packer packer(out);
    packer.pack_array(5);
    pack_text(packer, to_utf8(get_namespace_name(RelationGetNamespace(relation))));
    pack_text(packer, to_utf8(RelationGetRelationName(relation)));
    pack_text(packer, to_utf8(table.channel));
    packer.pack_array(static_cast<uint32_t>(table.columns));
    for (int column = 0; column < table.columns; ++column) {
        const Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), table.attribute_of[column]);
        packer.pack_array(3);
        pack_text(packer, to_utf8(NameStr(attribute->attname)));
        pack_text(packer, to_utf8(type_name(attribute)));
        packer.pack_uint64(static_cast<uint64>(table.column[column].form));
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

// The id of the shape with this fingerprint, 0 if there is none. `is_new`: it was added by the running transaction,
// maybe by an earlier savepoint of it, and vanishes with it.
int64 find_shape(Datum fingerprint, bool& is_new) {
    const Relation shapes = table_open(catalog().shapes.table, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, kFingerprint, BTEqualStrategyNumber, F_BYTEAEQ, fingerprint);
    const SysScanDesc scan = systable_beginscan(shapes, catalog().shapes_by_fingerprint, true, nullptr, 1, &key);
    const HeapTuple tuple = systable_getnext(scan);
    int64 found = 0;
    if (HeapTupleIsValid(tuple)) {
        bool is_null = false;
        found = DatumGetInt64(heap_getattr(tuple, kId, RelationGetDescr(shapes), &is_null));
        is_new = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
    }
    systable_endscan(scan);
    table_close(shapes, AccessShareLock);
    return found;
}

int64 add_shape(Relation relation, const CapturedTable& table, Datum fingerprint, Datum description) {
    const int64 id = nextval_internal(catalog().shapes_sequence, false);
    const Datum values[kShapesColumns] = {Int64GetDatum(id),
                                          fingerprint,
                                          description,
                                          CStringGetTextDatum(get_namespace_name(RelationGetNamespace(relation))),
                                          CStringGetTextDatum(RelationGetRelationName(relation)),
                                          CStringGetTextDatum(table.channel)};
    const bool nulls[kShapesColumns] = {};
    insert_row(catalog().shapes.table, values, nulls);
    return id;
}

}  // namespace

wire::Form form_of_type(Oid base_type) {
    switch (base_type) {
        case BOOLOID:
            return wire::Form::kBool;
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case OIDOID:
            return wire::Form::kInt;
        case NUMERICOID:
            return wire::Form::kNumeric;
        case TIMESTAMPOID:
            return wire::Form::kTimestamp;
        case TIMESTAMPTZOID:
            return wire::Form::kTimestampTz;
        case UUIDOID:
            return wire::Form::kUuid;
        case JSONOID:
        case JSONBOID:
            return wire::Form::kJson;
        default:
            return wire::Form::kText;
    }
}

Oid key_index(Relation relation) { return RelationGetPrimaryKeyIndex(relation); }

int64 shape_of(Relation relation, const CapturedTable& table, bool& is_new) {
    ByteBuffer description{};
    description.start(CurrentMemoryContext);
    describe(relation, table, description);
    char digest[wire::kDigestBytes];
    wire::put_digest(digest, wire::digest_of(description.bytes()));
    const Datum fingerprint = bytea_datum(wire::Bytes(digest, sizeof digest));
    is_new = true;
    const int64 found = find_shape(fingerprint, is_new);
    return found != 0 ? found : add_shape(relation, table, fingerprint, bytea_datum(description.bytes()));
}

}  // namespace paysync

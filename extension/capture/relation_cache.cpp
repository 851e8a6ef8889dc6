#include "capture/relation_cache.hpp"

#include "capture/shape_registry.hpp"
#include "capture/totals.hpp"
#include "outbox/catalog.hpp"

namespace paysync {
namespace {

HTAB* tables = nullptr;
bool has_new_shapes = false;

void describe_column(Form_pg_attribute attribute, CapturedColumn& column, MemoryContext memory) {
    Oid output = InvalidOid;
    bool is_varlena = false;
    getTypeOutputInfo(attribute->atttypid, &output, &is_varlena);
    fmgr_info_cxt(output, &column.output, memory);
    const Oid base = getBaseType(attribute->atttypid);
    column.form = form_of_type(base);
    column.is_text = base == TEXTOID || base == VARCHAROID || base == BPCHAROID || base == JSONOID;
    column.is_oid = base == OIDOID;
    column.by_value = attribute->attbyval;
    column.length = attribute->attlen;
}

// The types of object names, which are printed by what is visible; and those that may have such a type inside.
bool prints_by_path(Oid type) {
    Oid base = getBaseType(type);
    const Oid element = get_element_type(base);
    if (OidIsValid(element)) base = getBaseType(element);
    const char kind = get_typtype(base);
    if (kind == TYPTYPE_COMPOSITE || kind == TYPTYPE_RANGE || kind == TYPTYPE_MULTIRANGE) return true;
    switch (base) {
        case REGCLASSOID:
        case REGTYPEOID:
        case REGPROCOID:
        case REGPROCEDUREOID:
        case REGOPEROID:
        case REGOPERATOROID:
        case REGCONFIGOID:
        case REGDICTIONARYOID:
        case REGCOLLATIONOID:
            return true;
        default:
            return false;
    }
}

void describe_columns(Relation relation, CapturedTable& table) {
    const TupleDesc tuple = RelationGetDescr(relation);
    table.attributes = tuple->natts;
    table.attribute_of = static_cast<int*>(palloc(sizeof(int) * static_cast<size_t>(tuple->natts)));
    table.column = static_cast<CapturedColumn*>(palloc0(sizeof(CapturedColumn) * static_cast<size_t>(tuple->natts)));
    table.columns = 0;
    table.pins_settings = table.pins_path = false;
    for (int i = 0; i < tuple->natts; ++i) {
        if (TupleDescAttr(tuple, i)->attisdropped) continue;
        CapturedColumn& column = table.column[table.columns];
        describe_column(TupleDescAttr(tuple, i), column, table.memory);
        if (column.form == wire::Form::kText && !column.is_text) table.pins_settings = true;
        table.pins_path = table.pins_path || prints_by_path(TupleDescAttr(tuple, i)->atttypid);
        table.attribute_of[table.columns++] = i;
    }
}

void describe_key(Relation relation, CapturedTable& table) {
    table.keys = 0;
    table.key = nullptr;
    const Oid index_oid = table.insert_only ? InvalidOid : key_index(relation);
    if (!OidIsValid(index_oid)) return;
    const Relation index = index_open(index_oid, AccessShareLock);
    const int keys = index->rd_index->indnkeyatts;
    table.key = static_cast<int*>(palloc(sizeof(int) * static_cast<size_t>(keys)));
    for (int i = 0; i < keys; ++i)
        for (int column = 0; column < table.columns; ++column)
            if (table.attribute_of[column] + 1 == index->rd_index->indkey.values[i]) table.key[table.keys++] = column;
    index_close(index, AccessShareLock);
}

// registration (table_oid oid, channel text, insert_only bool, …).
void read_registration(Relation relation, CapturedTable& table) {
    const Relation registrations = table_open(catalog().registration, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(RelationGetRelid(relation)));
    const SysScanDesc scan = systable_beginscan(registrations, catalog().registration_index, true, nullptr, 1, &key);
    const HeapTuple tuple = systable_getnext(scan);
    if (!HeapTupleIsValid(tuple))
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("table \"%s\" has a capture trigger but is not registered", RelationGetRelationName(relation)),
                 errhint("Register it with paysync.register(), or drop its triggers with paysync.unregister().")));
    bool is_null = false;
    char* channel = TextDatumGetCString(heap_getattr(tuple, 2, RelationGetDescr(registrations), &is_null));
    table.channel = intern_channel(channel);
    table.insert_only = DatumGetBool(heap_getattr(tuple, 3, RelationGetDescr(registrations), &is_null));
    systable_endscan(scan);
    table_close(registrations, AccessShareLock);
}

void fill(Relation relation, CapturedTable& table) {
    if (table.memory == nullptr)
        table.memory = AllocSetContextCreate(TopMemoryContext, "paysync table", ALLOCSET_SMALL_SIZES);
    // An invalidation that comes in while this reads makes `valid` false again, and it is read once more.
    do {
        MemoryContextReset(table.memory);
        const MemoryContext before = MemoryContextSwitchTo(table.memory);
        table.valid = true;
        read_registration(relation, table);
        describe_columns(relation, table);
        describe_key(relation, table);
        table.shape = shape_of(relation, table, table.shape_is_new);
        has_new_shapes = has_new_shapes || table.shape_is_new;
        MemoryContextSwitchTo(before);
    } while (!table.valid);
}

void on_invalidation(Datum, Oid relation) {
    if (tables == nullptr) return;
    if (relation != InvalidOid) {
        auto* table = static_cast<CapturedTable*>(hash_search(tables, &relation, HASH_FIND, nullptr));
        if (table != nullptr) table->valid = false;
        return;
    }
    HASH_SEQ_STATUS status;
    hash_seq_init(&status, tables);
    while (auto* table = static_cast<CapturedTable*>(hash_seq_search(&status))) table->valid = false;
}

// A schema that is renamed invalidates none of its tables, but its name stands in their shapes; a type likewise.
void on_name_invalidation(Datum, int, uint32) { on_invalidation(Datum{0}, InvalidOid); }

void end_new_shapes(bool kept) {
    if (!has_new_shapes) return;
    has_new_shapes = false;
    HASH_SEQ_STATUS status;
    hash_seq_init(&status, tables);
    while (auto* table = static_cast<CapturedTable*>(hash_seq_search(&status))) {
        if (!table->shape_is_new) continue;
        table->shape_is_new = false;
        if (!kept) table->valid = false;
    }
}

void make_hash() {
    HASHCTL control{};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(CapturedTable);
    tables = hash_create("paysync tables", 64, &control, HASH_ELEM | HASH_BLOBS);
}

}  // namespace

const CapturedTable& captured_table(Relation relation) {
    if (tables == nullptr) make_hash();
    const Oid oid = RelationGetRelid(relation);
    bool found = false;
    auto* table = static_cast<CapturedTable*>(hash_search(tables, &oid, HASH_ENTER, &found));
    if (!found) {
        *table = CapturedTable{};
        table->relation = oid;
    }
    if (!table->valid) {
        // An error while filling must not leave it valid.
        PG_TRY();
        { fill(relation, *table); }
        PG_CATCH();
        {
            table->valid = false;
            PG_RE_THROW();
        }
        PG_END_TRY();
    }
    return *table;
}

void keep_new_shapes() { end_new_shapes(true); }
void forget_new_shapes() { end_new_shapes(false); }

void watch_relations() {
    CacheRegisterRelcacheCallback(on_invalidation, 0);
    CacheRegisterSyscacheCallback(NAMESPACEOID, on_name_invalidation, Datum{0});
    CacheRegisterSyscacheCallback(TYPEOID, on_name_invalidation, Datum{0});
}

}  // namespace paysync

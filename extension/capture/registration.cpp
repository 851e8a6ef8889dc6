#include "capture/registration.hpp"

#include "capture/totals.hpp"
#include "outbox/catalog.hpp"
#include "outbox/named_columns.hpp"

namespace paysync {
namespace {

// The greatest format of a registration that this library understands.
constexpr int kRegistrationFormat = 2;

List* read_names(Datum value) {
    Datum* elements = nullptr;
    bool* nulls = nullptr;
    int count = 0;
    deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
    List* names = NIL;
    for (int i = 0; i < count; ++i)
        if (!nulls[i]) names = lappend(names, TextDatumGetCString(elements[i]));
    return names;
}

OldValues read_old_values(const char* name) {
    static const char* const kNames[] = {"none", "key", "changed", "full"};
    for (uint8_t i = 0; i < 4; ++i)
        if (strcmp(name, kNames[i]) == 0) return static_cast<OldValues>(i);
    ereport(ERROR,
            (errcode(ERRCODE_DATA_CORRUPTED), errmsg("unknown old_values \"%s\" in paysync.registration", name)));
    pg_unreachable();
}

void check_format(const NamedColumns& row, Oid relation) {
    const int format = row.int_or("format", 1);
    if (format <= kRegistrationFormat) return;
    const char* name = get_rel_name(relation);
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("registration of table \"%s\" has format %d, this session's library reads up to %d",
                           name == nullptr ? "?" : name, format, kRegistrationFormat),
                    errhint("Reconnect: the extension was updated after this session began.")));
}

// The row of `relation` itself, if there is one.
bool read_registration(Relation registrations, Oid relation, Registration& found) {
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relation));
    const SysScanDesc scan = systable_beginscan(registrations, catalog().registration_index, true, nullptr, 1, &key);
    const HeapTuple tuple = systable_getnext(scan);
    const bool is_there = HeapTupleIsValid(tuple);
    if (is_there) {
        const NamedColumns row{tuple, RelationGetDescr(registrations)};
        check_format(row, relation);
        found = Registration{};
        found.relation = relation;
        found.channel = intern_channel(row.text_or("channel", "default"));
        found.insert_only = row.bool_or("insert_only", false);
        Datum value = 0;
        found.all_columns = !row.find("columns", value);
        if (!found.all_columns) found.columns = read_names(value);
        found.has_key_columns = row.find("key_columns", value);
        if (found.has_key_columns) found.key_columns = read_names(value);
        found.row_filter = row.text_or("row_filter", nullptr);
        if (row.find("masks", value)) found.masks = DatumGetJsonbPCopy(value);
        found.old_values = read_old_values(row.text_or("old_values", "key"));
        found.leaf = strcmp(row.text_or("partitions", "root"), "leaf") == 0;
        found.skip_unchanged = row.bool_or("skip_unchanged", false);
    }
    systable_endscan(scan);
    return is_there;
}

// The direct parents of `relation`, in the order in which it inherits from them, behind those in `parents`. One whose
// detaching is not finished is a parent still.
List* add_parents(Relation inherits, Oid relation, List* parents) {
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relation));
    const SysScanDesc scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, nullptr, 1, &key);
    for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan))
        parents = list_append_unique_oid(parents, reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tuple))->inhparent);
    systable_endscan(scan);
    return parents;
}

}  // namespace

bool find_registration(Oid relation, Registration& found, List*& ancestors) {
    ancestors = NIL;
    const Relation registrations = table_open(catalog().registration, AccessShareLock);
    bool is_found = read_registration(registrations, relation, found);
    if (!is_found) {
        // Level by level; a list that grows while it is walked.
        const Relation inherits = table_open(InheritsRelationId, AccessShareLock);
        ancestors = add_parents(inherits, relation, NIL);
        for (int i = 0; i < list_length(ancestors) && !is_found; ++i) {
            is_found = read_registration(registrations, list_nth_oid(ancestors, i), found);
            if (!is_found) ancestors = add_parents(inherits, list_nth_oid(ancestors, i), ancestors);
        }
        table_close(inherits, AccessShareLock);
    }
    table_close(registrations, AccessShareLock);
    return is_found;
}

}  // namespace paysync

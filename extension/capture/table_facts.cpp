#include "capture/table_facts.hpp"

#include "capture/mask.hpp"
#include "capture/registration.hpp"
#include "capture/row_filter.hpp"
#include "capture/row_key.hpp"
#include "capture/shape_registry.hpp"
#include "capture/value_coding.hpp"

namespace paysync {
namespace {

bool is_named(List* names, const char* name) {
    ListCell* cell = nullptr;
    foreach (cell, names)
        if (strcmp(static_cast<const char*>(lfirst(cell)), name) == 0) return true;
    return false;
}

// Where `holder` has the column `name`, from 0. Mostly at the same place as in the table it belongs to.
int attribute_named(Relation holder, const char* name, int likely) {
    const TupleDesc tuple = RelationGetDescr(holder);
    for (int i = 0; i < tuple->natts; ++i) {
        const int candidate = (likely + i) % tuple->natts;
        const Form_pg_attribute attribute = TupleDescAttr(tuple, candidate);
        if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), name) == 0) return candidate;
    }
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                    errmsg("table \"%s\" has no column \"%s\"", RelationGetRelationName(holder), name)));
    pg_unreachable();
}

void describe_column(Form_pg_attribute attribute, const Registration& registration, CapturedTable& table,
                     CapturedColumn& column) {
    column.number = attribute->attnum;
    column.by_value = attribute->attbyval;
    column.length = attribute->attlen;
    column.form = code_values(attribute->atttypid, column.coding, table.memory);
    ColumnMask* const mask =
        find_mask(registration.masks, NameStr(attribute->attname), attribute->atttypid, column.coding, table.memory);
    bool prints = column.form == wire::Form::kText || column.form == wire::array_of(wire::Form::kText);
    if (mask != nullptr) {
        if (sends_text(*mask)) column.form = wire::Form::kText;
        prints = mask->kind == MaskKind::kToken;
        column.coding = ValueCoding{};
        column.coding.encoder = Encoder::kMasked;
        column.coding.mask = mask;
    }
    table.pins_settings = table.pins_settings || (prints && prints_by_settings(attribute->atttypid));
    table.pins_path = table.pins_path || (prints && prints_by_path(attribute->atttypid));
}

// The columns of `shaped` that are sent, and where `holder` has them.
void describe_columns(Relation shaped, Relation holder, const Registration& registration, CapturedTable& table) {
    const TupleDesc columns = RelationGetDescr(shaped);
    table.attributes = RelationGetDescr(holder)->natts;
    table.column = static_cast<CapturedColumn*>(
        MemoryContextAllocZero(table.memory, sizeof(CapturedColumn) * static_cast<size_t>(columns->natts)));
    table.columns = 0;
    table.pins_settings = table.pins_path = false;
    for (int i = 0; i < columns->natts; ++i) {
        const Form_pg_attribute attribute = TupleDescAttr(columns, i);
        if (attribute->attisdropped) continue;
        if (!registration.all_columns && !is_named(registration.columns, NameStr(attribute->attname))) continue;
        CapturedColumn& column = table.column[table.columns++];
        describe_column(attribute, registration, table, column);
        column.attribute = shaped == holder ? i : attribute_named(holder, NameStr(attribute->attname), i);
    }
}

void keep_ancestors(List* ancestors, CapturedTable& table) {
    table.ancestors = list_length(ancestors);
    table.ancestor =
        static_cast<Oid*>(MemoryContextAlloc(table.memory, sizeof(Oid) * static_cast<size_t>(Max(table.ancestors, 1))));
    for (int i = 0; i < table.ancestors; ++i) table.ancestor[i] = list_nth_oid(ancestors, i);
}

void take_options(Relation relation, const Registration& registration, CapturedTable& table) {
    table.registered = registration.relation;
    table.channel = registration.channel;
    table.insert_only = registration.insert_only;
    table.old_values = registration.old_values;
    table.needs_key = registration.insert_only || registration.old_values != OldValues::kNone;
    table.key_is_named = registration.has_key_columns;
    table.skip_unchanged = registration.skip_unchanged;
    table.reports_parts = registration.leaf;
    table.reported_as_root = !registration.leaf && registration.relation != RelationGetRelid(relation);
    table.filter = registration.row_filter == nullptr ? nullptr : make_filter(registration.row_filter, table.memory);
    table.selects_rows = table.filter != nullptr || table.skip_unchanged;
}

void look_up(Relation relation, CapturedTable& table) {
    Registration registration{};
    List* ancestors = NIL;
    if (!find_registration(RelationGetRelid(relation), registration, ancestors))
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("table \"%s\" has a capture trigger but is not registered", RelationGetRelationName(relation)),
                 errhint("Register it with paysync.register(), or drop its triggers with paysync.unregister().")));
    keep_ancestors(ancestors, table);
    take_options(relation, registration, table);
    const Relation shaped = table.reported_as_root ? relation_open(registration.relation, AccessShareLock) : relation;
    if (RelationGetRelid(shaped) == registration.relation) check_masked_columns(registration.masks, shaped);
    describe_columns(shaped, relation, registration, table);
    describe_key(shaped, registration, table);
    table.calls_out = table.pins_settings || table.filter != nullptr;
    table.shape = shape_of(shaped, table, table.shape_is_new);
    if (shaped != relation) relation_close(shaped, AccessShareLock);
}

}  // namespace

void fill_facts(Relation relation, CapturedTable& table) {
    if (table.memory == nullptr)
        table.memory = AllocSetContextCreate(TopMemoryContext, "paysync table", ALLOCSET_SMALL_SIZES);
    MemoryContextReset(table.memory);
    const MemoryContext scratch =
        AllocSetContextCreate(CurrentMemoryContext, "paysync table facts", ALLOCSET_DEFAULT_SIZES);
    const MemoryContext before = MemoryContextSwitchTo(scratch);
    look_up(relation, table);
    MemoryContextSwitchTo(before);
    MemoryContextDelete(scratch);
}

}  // namespace paysync

#include "capture/relation_cache.hpp"

#include "capture/call_out.hpp"
#include "capture/table_facts.hpp"

namespace paysync {
namespace {

HTAB* tables = nullptr;
HTAB* ancestors = nullptr;  // of those tables: relations whose change concerns others
CapturedTable* filling = nullptr;
bool has_new_shapes = false;
bool has_idle_memory = false;  // facts of tables that were invalidated

void invalidate(CapturedTable& table) {
    table.valid = false;
    has_idle_memory = true;
}

bool descends_from(const CapturedTable& table, Oid relation) {
    for (int i = 0; table.valid && i < table.ancestors; ++i)
        if (table.ancestor[i] == relation) return true;
    return false;
}

void on_invalidation(Datum, Oid relation) {
    if (tables == nullptr) return;
    // What it is looked up by is not known before the end.
    if (filling != nullptr) filling->valid = false;
    if (relation != InvalidOid) {
        auto* table = static_cast<CapturedTable*>(hash_search(tables, &relation, HASH_FIND, nullptr));
        if (table != nullptr) invalidate(*table);
        if (hash_search(ancestors, &relation, HASH_FIND, nullptr) == nullptr) return;
    }
    HASH_SEQ_STATUS status;
    hash_seq_init(&status, tables);
    while (auto* table = static_cast<CapturedTable*>(hash_seq_search(&status)))
        if (relation == InvalidOid || descends_from(*table, relation)) invalidate(*table);
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
        if (!kept) invalidate(*table);
    }
}

// A function that is replaced may be one that a row filter calls.
void on_function_invalidation(Datum, int, uint32) {
    if (tables == nullptr) return;
    HASH_SEQ_STATUS status;
    hash_seq_init(&status, tables);
    while (auto* table = static_cast<CapturedTable*>(hash_seq_search(&status)))
        if (table->valid && table->filter != nullptr) invalidate(*table);
}

void make_hashes() {
    HASHCTL control{};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(CapturedTable);
    HTAB* const made = hash_create("paysync tables", 64, &control, HASH_ELEM | HASH_BLOBS);
    control.entrysize = sizeof(Oid);
    ancestors = hash_create("paysync ancestors", 16, &control, HASH_ELEM | HASH_BLOBS);
    tables = made;
}

// Gives back what tables left that were altered or dropped: of those that are written again it is filled anew.
void drop_idle_memory() {
    if (!has_idle_memory) return;
    has_idle_memory = false;
    HASH_SEQ_STATUS status;
    hash_seq_init(&status, tables);
    while (auto* table = static_cast<CapturedTable*>(hash_seq_search(&status))) {
        if (table->valid || table->memory == nullptr) continue;
        MemoryContextDelete(table->memory);
        table->memory = nullptr;
    }
}

void fill(Relation relation, CapturedTable& table) {
    // An invalidation that comes in while this reads makes `valid` false again, and it is read once more.
    do {
        table.valid = true;
        table.ancestors = 0;
        fill_facts(relation, table);
        has_new_shapes = has_new_shapes || table.shape_is_new;
        for (int i = 0; i < table.ancestors; ++i) hash_search(ancestors, &table.ancestor[i], HASH_ENTER, nullptr);
    } while (!table.valid);
}

// An error while filling must not leave it valid.
void fill_safely(Relation relation, CapturedTable& table) {
    filling = &table;
    PG_TRY();
    { fill(relation, table); }
    PG_CATCH();
    {
        filling = nullptr;
        invalidate(table);
        PG_RE_THROW();
    }
    PG_END_TRY();
    filling = nullptr;
}

}  // namespace

CapturedTable& captured_table(Relation relation) {
    if (tables == nullptr) make_hashes();
    const Oid oid = RelationGetRelid(relation);
    bool found = false;
    auto* table = static_cast<CapturedTable*>(hash_search(tables, &oid, HASH_ENTER, &found));
    if (!found) {
        *table = CapturedTable{};
        table->relation = oid;
    }
    if (!table->valid) {
        refuse_while_called_out();  // the caller's facts may be the ones that would be given back here
        if (!found) drop_idle_memory();
        fill_safely(relation, *table);
    }
    return *table;
}

void keep_new_shapes() { end_new_shapes(true); }
void forget_new_shapes() { end_new_shapes(false); }

void watch_relations() {
    CacheRegisterRelcacheCallback(on_invalidation, 0);
    CacheRegisterSyscacheCallback(NAMESPACEOID, on_name_invalidation, Datum{0});
    CacheRegisterSyscacheCallback(TYPEOID, on_name_invalidation, Datum{0});
    CacheRegisterSyscacheCallback(PROCOID, on_function_invalidation, Datum{0});
}

}  // namespace paysync

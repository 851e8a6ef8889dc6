#include "capture/row_key.hpp"

namespace paysync {
namespace {

// The columns of the primary key, as numbers, if it is valid and checked at once.
List* primary_key(Relation relation) {
    const Oid index_oid = RelationGetPrimaryKeyIndex(relation);
    if (!OidIsValid(index_oid)) return NIL;
    const Relation index = index_open(index_oid, AccessShareLock);
    List* numbers = NIL;
    for (int i = 0; i < index->rd_index->indnkeyatts; ++i)
        numbers = lappend_int(numbers, index->rd_index->indkey.values[i]);
    index_close(index, AccessShareLock);
    return numbers;
}

// Whether the index keeps exactly the columns `numbers` unique, at any time and for all rows.
bool is_unique_over(Relation index, List* numbers) {
    const Form_pg_index form = index->rd_index;
    if (!form->indisunique || !form->indisvalid || !form->indimmediate ||
        !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr))
        return false;
    if (form->indnkeyatts != list_length(numbers)) return false;
    for (int i = 0; i < form->indnkeyatts; ++i)
        if (form->indkey.values[i] == 0 || !list_member_int(numbers, form->indkey.values[i])) return false;
    return true;
}

bool has_unique_index(Relation relation, List* numbers) {
    List* const indexes = RelationGetIndexList(relation);
    bool found = false;
    ListCell* cell = nullptr;
    foreach (cell, indexes) {
        if (found) break;
        const Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        found = is_unique_over(index, numbers);
        index_close(index, AccessShareLock);
    }
    list_free(indexes);
    return found;
}

// The columns that the registration names, as numbers; none if one is gone, may be NULL, or nothing keeps them unique.
List* named_key(Relation relation, List* names) {
    List* numbers = NIL;
    ListCell* cell = nullptr;
    foreach (cell, names) {
        const AttrNumber number = get_attnum(RelationGetRelid(relation), static_cast<const char*>(lfirst(cell)));
        if (number <= 0 || !TupleDescAttr(RelationGetDescr(relation), number - 1)->attnotnull) return NIL;
        numbers = lappend_int(numbers, number);
    }
    return numbers != NIL && has_unique_index(relation, numbers) ? numbers : NIL;
}

int column_numbered(const CapturedTable& table, int number) {
    for (int column = 0; column < table.columns; ++column)
        if (table.column[column].number == number) return column;
    return -1;
}

}  // namespace

void describe_key(Relation shaped, const Registration& registration, CapturedTable& table) {
    table.keys = 0;
    table.key = nullptr;
    if (registration.insert_only) return;
    List* const numbers =
        registration.has_key_columns ? named_key(shaped, registration.key_columns) : primary_key(shaped);
    if (numbers == NIL) return;
    ListCell* cell = nullptr;
    foreach (cell, numbers)
        if (column_numbered(table, lfirst_int(cell)) < 0) return;
    table.key =
        static_cast<int*>(MemoryContextAlloc(table.memory, sizeof(int) * static_cast<size_t>(list_length(numbers))));
    foreach (cell, numbers) {
        CapturedColumn& column = table.column[column_numbered(table, lfirst_int(cell))];
        if (column.is_key) continue;
        column.is_key = true;
        table.key[table.keys++] = static_cast<int>(&column - table.column);
    }
}

}  // namespace paysync

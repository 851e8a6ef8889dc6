// What a row filter stands on, so that DDL which changes its meaning is noticed.
#include "postgres.hpp"

namespace paysync {
namespace {

struct Uses {
    Bitmapset* columns;
    List* functions;  // Oids
};

bool add_function(Oid function, void* uses) {
    auto* const into = static_cast<Uses*>(uses);
    into->functions = list_append_unique_oid(into->functions, function);
    return false;
}

bool add_uses(Node* node, void* uses) {
    if (node == nullptr) return false;
    auto* const into = static_cast<Uses*>(uses);
    if (IsA(node, Var)) into->columns = bms_add_member(into->columns, castNode(Var, node)->varattno);
    (void)check_functions_in_node(node, add_function, uses);
    return walk_expression(node, add_uses, uses);
}

// `text` is canonical: it was checked when it was registered, and is analysed without running anything of it.
Node* analyse(const char* text, Relation relation) {
    ParseState* const state = make_parsestate(nullptr);
    state->p_sourcetext = text;
    ParseNamespaceItem* const item =
        addRangeTableEntryForRelation(state, relation, AccessShareLock, nullptr, false, false);
    addNSItemToQuery(state, item, false, true, true);
    const auto* const select =
        castNode(SelectStmt, linitial_node(RawStmt, raw_parser(text, RAW_PARSE_PLPGSQL_EXPR))->stmt);
    Node* const expression = transformExpr(state, linitial_node(ResTarget, select->targetList)->val, EXPR_KIND_OTHER);
    free_parsestate(state);
    return expression;
}

ArrayType* describe(const Uses& uses, Relation relation) {
    const int count = bms_num_members(uses.columns) + list_length(uses.functions);
    auto* const texts = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<size_t>(count + 1)));
    int at = 0;
    for (int number = bms_next_member(uses.columns, -1); number > 0; number = bms_next_member(uses.columns, number)) {
        const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(relation), number - 1);
        texts[at++] = CStringGetTextDatum(psprintf("column %d %s %u %d %u", number, NameStr(column->attname),
                                                   column->atttypid, column->atttypmod, column->attcollation));
    }
    ListCell* cell = nullptr;
    foreach (cell, uses.functions) texts[at++] = CStringGetTextDatum(psprintf("function %u", lfirst_oid(cell)));
    return construct_array(texts, at, TEXTOID, -1, false, TYPALIGN_INT);
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_filter_uses);

// paysync.filter_uses(table_name regclass, filter text) returns text[].
PGDLLEXPORT Datum paysync_filter_uses(PG_FUNCTION_ARGS) {
    const Relation relation = relation_open(PG_GETARG_OID(0), AccessShareLock);
    paysync::Uses uses{};
    (void)paysync::add_uses(paysync::analyse(text_to_cstring(PG_GETARG_TEXT_PP(1)), relation), &uses);
    ArrayType* const described = paysync::describe(uses, relation);
    relation_close(relation, AccessShareLock);
    PG_RETURN_ARRAYTYPE_P(described);
}
}

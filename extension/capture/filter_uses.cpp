// What a row filter stands on, so that DDL which changes its meaning is noticed.
#include "capture/filter_expression.hpp"
#include "capture/pinned_settings.hpp"
#include "owner_rights.hpp"

namespace paysync {
namespace {

struct Uses {
    Bitmapset* columns;
    List* functions;  // Oids, as are the next two
    List* types;
    List* operators;
};

bool add_function(Oid function, void* uses) {
    auto* const into = static_cast<Uses*>(uses);
    into->functions = list_append_unique_oid(into->functions, function);
    return false;
}

void add_type(Oid type, Uses& uses) {
    const Oid element = get_element_type(type);
    uses.types = list_append_unique_oid(uses.types, OidIsValid(element) ? element : type);
}

// Types and operators are named in the filter's text.
void add_names(Node* node, Uses& uses) {
    switch (nodeTag(node)) {
        case T_OpExpr:
        case T_DistinctExpr:
        case T_NullIfExpr:
            uses.operators = list_append_unique_oid(uses.operators, reinterpret_cast<OpExpr*>(node)->opno);
            break;
        case T_ScalarArrayOpExpr:
            uses.operators = list_append_unique_oid(uses.operators, castNode(ScalarArrayOpExpr, node)->opno);
            break;
        case T_Const:
        case T_FuncExpr:
        case T_RelabelType:
        case T_CoerceViaIO:
        case T_ArrayCoerceExpr:
        case T_ConvertRowtypeExpr:
        case T_CoerceToDomain:
        case T_ArrayExpr:
        case T_RowExpr:
            add_type(exprType(node), uses);
            break;
        default:
            break;
    }
}

bool add_uses(Node* node, void* uses) {
    if (node == nullptr) return false;
    auto* const into = static_cast<Uses*>(uses);
    if (IsA(node, Var)) into->columns = bms_add_member(into->columns, castNode(Var, node)->varattno);
    add_names(node, *into);
    (void)check_functions_in_node(node, add_function, uses);
    return walk_expression(node, add_uses, uses);
}

// A value of a catalog row as its text's hash; 0 for NULL.
uint64 hash_of(HeapTuple function, AttrNumber column, Oid output) {
    bool is_null = false;
    const Datum value = SysCacheGetAttr(PROCOID, function, column, &is_null);
    if (is_null) return 0;
    const char* const text = OidOutputFunctionCall(output, value);
    return hash_bytes_extended(reinterpret_cast<const unsigned char*>(text), static_cast<int>(strlen(text)), 0);
}

// The function and what it does: one that is replaced decides otherwise. What it calls itself is not seen.
char* describe_function(Oid oid) {
    const HeapTuple function = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
    if (!HeapTupleIsValid(function))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function %u does not exist", oid)));
    const auto* const row = reinterpret_cast<const FormData_pg_proc*>(GETSTRUCT(function));
    uint64 meaning = 0;
    const struct {
        AttrNumber column;
        Oid output;
    } kTexts[] = {{Anum_pg_proc_prosrc, F_TEXTOUT},
                  {Anum_pg_proc_prosqlbody, F_PG_NODE_TREE_OUT},
                  {Anum_pg_proc_probin, F_TEXTOUT},
                  {Anum_pg_proc_proconfig, F_ARRAY_OUT}};
    for (const auto& text : kTexts) meaning = meaning * 31 + hash_of(function, text.column, text.output);
    char* const described =
        oid < FirstNormalObjectId
            ? psprintf("function %u", oid)
            : psprintf("function %u " UINT64_FORMAT " %u %u %c%c%c", oid, meaning, row->prolang, row->prorettype,
                       row->provolatile, row->proisstrict ? 's' : '-', row->prosecdef ? 'd' : '-');
    ReleaseSysCache(function);
    return described;
}

ArrayType* describe(const Uses& uses, Relation relation) {
    const int count = bms_num_members(uses.columns) + list_length(uses.functions) + list_length(uses.types) +
                      list_length(uses.operators);
    auto* const texts = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<size_t>(count + 1)));
    int at = 0;
    for (int number = bms_next_member(uses.columns, -1); number > 0; number = bms_next_member(uses.columns, number)) {
        const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(relation), number - 1);
        texts[at++] = CStringGetTextDatum(psprintf("column %d %u %d %u %s", number, column->atttypid, column->atttypmod,
                                                   column->attcollation, NameStr(column->attname)));
    }
    ListCell* cell = nullptr;
    foreach (cell, uses.functions) texts[at++] = CStringGetTextDatum(describe_function(lfirst_oid(cell)));
    foreach (cell, uses.types) texts[at++] = CStringGetTextDatum(psprintf("type %u", lfirst_oid(cell)));
    foreach (cell, uses.operators) texts[at++] = CStringGetTextDatum(psprintf("operator %u", lfirst_oid(cell)));
    return construct_array(texts, at, TEXTOID, -1, false, TYPALIGN_INT);
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_filter_uses);

// paysync.filter_uses(table_name regclass, filter text) returns text[]: a line for each column (number, type, type
// modifier, collation, name) and function (and a hash of its body). The filter must be in canonical form. To read a
// constant may run a domain's check: as the table's owner, never as the owner of the extension.
PGDLLEXPORT Datum paysync_filter_uses(PG_FUNCTION_ARGS) {
    const Relation relation = relation_open(PG_GETARG_OID(0), AccessShareLock);
    const paysync::CallerIdentity caller = paysync::become(relation->rd_rel->relowner);
    SetUserIdAndSecContext(relation->rd_rel->relowner, caller.context | SECURITY_RESTRICTED_OPERATION);
    const int settings = paysync::pin_expression_settings();
    paysync::Uses uses{};
    Node* planned = nullptr;
    Node* const expression = paysync::analyse_filter(text_to_cstring(PG_GETARG_TEXT_PP(1)), relation, &planned);
    (void)paysync::add_uses(expression, &uses);
    paysync::leave_settings(settings);
    paysync::become_again(caller);
    ArrayType* const described = paysync::describe(uses, relation);
    relation_close(relation, AccessShareLock);
    PG_RETURN_ARRAYTYPE_P(described);
}
}

#include "capture/filter_expression.hpp"

namespace paysync {
namespace {

// Errors of the parser give a place in the text that they were given, which is not the client's statement.
void on_error(void* text) {
    const int position = geterrposition();
    if (position > 0) {
        errposition(0);
        internalerrposition(position);
        internalerrquery(static_cast<const char*>(text));
    }
    errcontext("row filter");
}

[[noreturn]] void refuse(const char* what) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("row filter must not %s", what),
                    errdetail("It decides by the row alone, so that the same row is always decided in the same way.")));
    pg_unreachable();
}

// The expression and nothing else: the parser takes all that may follow SELECT.
Node* parse(const char* text) {
    const List* const statements = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
    SelectStmt* const select = castNode(SelectStmt, linitial_node(RawStmt, statements)->stmt);
    SelectStmt* const bare = makeNode(SelectStmt);
    bare->targetList = select->targetList;
    bool is_expression = list_length(select->targetList) == 1 && equal(select, bare);
    Node* expression = nullptr;
    if (is_expression) {
        const ResTarget* const target = linitial_node(ResTarget, select->targetList);
        expression = target->val;
        is_expression = target->name == nullptr && target->indirection == NIL;
        if (IsA(expression, ColumnRef) && IsA(llast(castNode(ColumnRef, expression)->fields), A_Star))
            is_expression = false;
    }
    if (!is_expression)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("row filter must be one expression"),
                        errhint("Give a condition on the table's columns, such as currency = 'EUR'.")));
    return expression;
}

// What other sessions cannot see they could not evaluate.
bool is_temporary(Oid function, void*) { return isTempNamespace(get_func_namespace(function)); }

bool is_of_temporary_type(Node* node) {
    if (!IsA(node, Const) && !IsA(node, RelabelType) && !IsA(node, CoerceViaIO) && !IsA(node, CoerceToDomain))
        return false;
    const HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(exprType(node)));
    if (!HeapTupleIsValid(tuple)) return false;
    const Oid schema = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple))->typnamespace;
    ReleaseSysCache(tuple);
    return isTempNamespace(schema);
}

bool check_parts(Node* node, void* context) {
    if (node == nullptr) return false;
    if (IsA(node, Var)) {
        const AttrNumber number = castNode(Var, node)->varattno;
        if (number < 0) refuse("use a system column");
        if (number == 0) refuse("use the whole row");
        return false;
    }
    if (check_functions_in_node(node, is_temporary, nullptr) || is_of_temporary_type(node))
        refuse("use a temporary function or type");
    return walk_expression(node, check_parts, context);
}

Node* analyse(const char* text, Relation relation) {
    ParseState* const state = make_parsestate(nullptr);
    state->p_sourcetext = text;
    ParseNamespaceItem* const item =
        addRangeTableEntryForRelation(state, relation, AccessShareLock, nullptr, false, false);
    addNSItemToQuery(state, item, false, true, true);
    Node* expression = transformExpr(state, parse(text), EXPR_KIND_OTHER);
    if (state->p_hasSubLinks) refuse("use a subquery");
    if (state->p_hasAggs) refuse("use an aggregate");
    if (state->p_hasWindowFuncs) refuse("use a window function");
    if (expression_returns_set(expression)) refuse("return a set");
    expression = coerce_to_boolean(state, expression, "row filter");
    assign_expr_collations(state, expression);
    check_parts(expression, nullptr);
    free_parsestate(state);
    return expression;
}

}  // namespace

Node* analyse_filter(const char* text, Relation relation, Node** planned) {
    ErrorContextCallback context{error_context_stack, on_error, const_cast<char*>(text)};
    error_context_stack = &context;
    Node* const expression = analyse(text, relation);
    // As of an index predicate: a default of an argument may be mutable, and the body of a function that is inlined.
    *planned = reinterpret_cast<Node*>(expression_planner(static_cast<Expr*>(copyObjectImpl(expression))));
    if (contain_mutable_functions(*planned))
        ereport(
            ERROR,
            (errcode(ERRCODE_INVALID_OBJECT_DEFINITION), errmsg("functions in a row filter must be marked IMMUTABLE"),
             errdetail("It decides by the row alone, so that the same row is always decided in the same way."),
             errhint("Texts of times with a zone, casts between timestamp and timestamptz and now() are among what is "
                     "not.")));
    error_context_stack = context.previous;
    return expression;
}

char* print_filter(Node* expression, Relation relation) {
    List* const context = deparse_context_for(RelationGetRelationName(relation), RelationGetRelid(relation));
    return deparse_expression(expression, context, false, false);
}

}  // namespace paysync

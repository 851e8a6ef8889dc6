#include "capture/row_filter.hpp"

#include "capture/filter_expression.hpp"
#include "capture/pinned_settings.hpp"

namespace paysync {
namespace {

void on_error(void* relation) {
    errcontext("row filter of registered table \"%s\"", RelationGetRelationName(static_cast<Relation>(relation)));
}

// The filter names columns of the registered table; a partition may have them in another order.
Node* map_columns(Node* expression, Relation named, Relation holder) {
    const TupleDesc columns = RelationGetDescr(named);
    AttrMap* const map = make_attrmap(columns->natts);
    for (int i = 0; i < columns->natts; ++i) {
        const Form_pg_attribute attribute = TupleDescAttr(columns, i);
        if (!attribute->attisdropped)
            map->attnums[i] = get_attnum(RelationGetRelid(holder), NameStr(attribute->attname));
    }
    bool whole_row = false;
    return map_variable_attnos(expression, 1, 0, map, InvalidOid, &whole_row);
}

Node* read_expression(const CapturedTable& table, Relation relation) {
    Node* planned = nullptr;
    if (table.registered == RelationGetRelid(relation)) {
        analyse_filter(table.filter->text, relation, &planned);
        return planned;
    }
    const Relation registered = relation_open(table.registered, AccessShareLock);
    analyse_filter(table.filter->text, registered, &planned);
    planned = map_columns(planned, registered, relation);
    relation_close(registered, AccessShareLock);
    return planned;
}

// Compiled for a user, since whether he may call a function is asked now.
void compile(const CapturedTable& table, Relation relation) {
    RowFilter& filter = *table.filter;
    filter.state = nullptr;
    MemoryContextReset(filter.memory);
    const int settings = pin_expression_settings();
    Node* const expression = read_expression(table, relation);
    leave_settings(settings);
    const MemoryContext before = MemoryContextSwitchTo(filter.memory);
    // A copy of the columns: the slot must not hold a reference to the relation's own beyond this transaction.
    filter.slot = MakeSingleTupleTableSlot(CreateTupleDescCopyConstr(RelationGetDescr(relation)), &TTSOpsHeapTuple);
    filter.context = CreateStandaloneExprContext();
    filter.context->ecxt_scantuple = filter.slot;
    filter.user = GetUserId();
    filter.state = ExecInitExpr(static_cast<Expr*>(copyObjectImpl(expression)), nullptr);
    MemoryContextSwitchTo(before);
}

}  // namespace

RowFilter* make_filter(const char* text, MemoryContext memory) {
    auto* const filter = static_cast<RowFilter*>(MemoryContextAllocZero(memory, sizeof(RowFilter)));
    filter->text = MemoryContextStrdup(memory, text);
    filter->memory = AllocSetContextCreate(memory, "paysync filter", ALLOCSET_SMALL_SIZES);
    return filter;
}

bool passes_filter(const CapturedTable& table, Relation relation, HeapTuple row) {
    RowFilter& filter = *table.filter;
    ErrorContextCallback context{error_context_stack, on_error, relation};
    error_context_stack = &context;
    if (filter.state == nullptr || filter.user != GetUserId()) compile(table, relation);
    ExecStoreHeapTuple(row, filter.slot, false);
    bool is_null = false;
    const Datum result = ExecEvalExprSwitchContext(filter.state, filter.context, &is_null);
    const bool passes = !is_null && DatumGetBool(result);
    ExecClearTuple(filter.slot);
    ResetExprContext(filter.context);
    error_context_stack = context.previous;
    return passes;
}

}  // namespace paysync

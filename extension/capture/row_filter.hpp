// Row filters: which rows of a table subscribers see.
#pragma once

#include "capture/captured_table.hpp"

namespace paysync {

struct RowFilter {
    const char* text;
    MemoryContext memory;  // what is below is in it; emptied when the filter is compiled again
    Oid user;              // for whom it was compiled
    ExprState* state;      // null: not compiled yet
    ExprContext* context;
    TupleTableSlot* slot;
};

// A filter that is compiled when it is first asked; all of it lives in `memory`.
RowFilter* make_filter(const char* text, MemoryContext memory);

// Whether the row passes the filter of `table`; NULL is false. Evaluated as the current user. `relation` holds the row.
bool passes_filter(const CapturedTable& table, Relation relation, HeapTuple row);

}  // namespace paysync

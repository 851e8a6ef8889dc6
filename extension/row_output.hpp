// Set-returning functions that give all their rows at once.
#pragma once

#include "postgres.hpp"

namespace paysync {

// Where the rows of a set-returning function go.
struct RowOutput {
    Tuplestorestate* store;
    TupleDesc columns;
};

[[nodiscard]] inline RowOutput begin_rows(FunctionCallInfo fcinfo) {
#if PG_VERSION_NUM >= 160000
    InitMaterializedSRF(fcinfo, 0);
#else
    SetSingleFuncCall(fcinfo, 0);
#endif
    auto* const result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    return RowOutput{result->setResult, result->setDesc};
}

inline void put_row(const RowOutput& rows, const Datum* values, const bool* nulls) {
    tuplestore_putvalues(rows.store, rows.columns, const_cast<Datum*>(values), const_cast<bool*>(nulls));
}

}  // namespace paysync

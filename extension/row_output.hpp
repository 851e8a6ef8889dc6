// Set-returning functions that give all their rows at once.
#pragma once

#include "postgres.hpp"

namespace paysync {

// Where the rows of a set-returning function go.
struct RowOutput {
    Tuplestorestate* store;
    TupleDesc columns;
};

// Of rows with several columns; of values: a row is one value of the function's type.
enum class RowsOf { kColumns, kValues };

[[nodiscard]] inline RowOutput begin_rows(FunctionCallInfo fcinfo, RowsOf what = RowsOf::kColumns) {
#if PG_VERSION_NUM >= 160000
    InitMaterializedSRF(fcinfo, what == RowsOf::kValues ? MAT_SRF_USE_EXPECTED_DESC : 0);
#else
    SetSingleFuncCall(fcinfo, what == RowsOf::kValues ? SRF_SINGLE_USE_EXPECTED : 0);
#endif
    auto* const result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    return RowOutput{result->setResult, result->setDesc};
}

inline void put_row(const RowOutput& rows, const Datum* values, const bool* nulls) {
    tuplestore_putvalues(rows.store, rows.columns, const_cast<Datum*>(values), const_cast<bool*>(nulls));
}

}  // namespace paysync

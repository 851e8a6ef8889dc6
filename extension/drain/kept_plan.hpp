// A statement that this backend runs again and again, parsed and planned once. The server makes the plan anew where
// what it names was changed.
#pragma once

#include "postgres.hpp"

namespace paysync {

// `plan` is null before the first call, and belongs to that statement ever after. Connected to SPI.
inline SPIPlanPtr kept_plan(SPIPlanPtr& plan, const char* statement, int parameters, Oid* types) {
    if (plan != nullptr) return plan;
    const SPIPlanPtr prepared = SPI_prepare(statement, parameters, types);
    if (prepared == nullptr || SPI_keepplan(prepared) != 0)
        ereport(ERROR, (errmsg("could not prepare \"%s\"", statement)));
    plan = prepared;
    return plan;
}

}  // namespace paysync

#include "postgres.hpp"

#include "capture/call_out.hpp"

namespace paysync {
namespace {

int calling_level = 0;  // nesting level of the transaction that calls out; 0: none

}  // namespace

void refuse_while_called_out() {
    if (calling_level == 0) return;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("a registered table was changed while a row was being captured"),
                    errdetail("A function of a row filter, or one that prints a value, changed it."),
                    errhint("Functions that are called for a row must not write.")));
}

void begin_call_out() { calling_level = GetCurrentTransactionNestLevel(); }
void end_call_out() { calling_level = 0; }

void forget_call_out(int level) {
    if (calling_level >= level) calling_level = 0;
}

}  // namespace paysync

// Running SQL as the owner of the extension's functions, where a procedure cannot be SECURITY DEFINER because it
// commits, or because it must first know who called it. An error puts the caller's identity back with its transaction.
#pragma once

#include "postgres.hpp"

namespace paysync {

struct CallerIdentity {
    Oid user;
    int context;
};

// The owner of the function that is being called.
inline Oid function_owner(FunctionCallInfo fcinfo) {
    const HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
    if (!HeapTupleIsValid(tuple))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function %u does not exist", fcinfo->flinfo->fn_oid)));
    bool is_null = false;
    const Oid owner = DatumGetObjectId(SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proowner, &is_null));
    ReleaseSysCache(tuple);
    return owner;
}

[[nodiscard]] inline CallerIdentity become(Oid owner) {
    CallerIdentity caller{};
    GetUserIdAndSecContext(&caller.user, &caller.context);
    SetUserIdAndSecContext(owner, caller.context | SECURITY_LOCAL_USERID_CHANGE);
    return caller;
}

inline void become_again(const CallerIdentity& caller) { SetUserIdAndSecContext(caller.user, caller.context); }

}  // namespace paysync

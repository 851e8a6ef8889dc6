// Locks that only our functions can take, so that nobody can hold them against us: the relay's lease, the one of who
// maintains the outbox, and the one between emptying segments and those who get a claim to what is in them.
#include "outbox/catalog.hpp"
#include "owner_rights.hpp"

namespace paysync {
namespace {

enum OwnLock : uint16 { kLeaseLock = 1, kMaintainLock = 2, kClaimLock = 3 };

LOCKTAG lock_tag(OwnLock which) {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId,
                       get_relname_relid("fence", get_namespace_oid("paysync", false)), which);
    // Of the advisory locks' kind: a session lock of the other kind is given up with every transaction that fails.
    tag.locktag_lockmethodid = USER_LOCKMETHOD;
    return tag;
}

// Takes a lock until the end of the transaction, if it is to be had at once.
bool try_lock(OwnLock which) {
    const LOCKTAG tag = lock_tag(which);
    return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_try_lease);
PG_FUNCTION_INFO_V1(paysync_try_maintain);
PG_FUNCTION_INFO_V1(paysync_try_empty);
PG_FUNCTION_INFO_V1(paysync_claim);

// paysync.try_lease() returns bool: this session has the lease now, until it ends.
PGDLLEXPORT Datum paysync_try_lease(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    const LOCKTAG tag = paysync::lock_tag(paysync::kLeaseLock);
    const LockAcquireResult result = LockAcquire(&tag, ExclusiveLock, true, true);
    if (result == LOCKACQUIRE_ALREADY_HELD)
        LockRelease(&tag, ExclusiveLock, true);  // held once, however often it is asked for
    PG_RETURN_BOOL(result != LOCKACQUIRE_NOT_AVAIL);
}

// paysync.try_maintain() returns bool: nobody else maintains the outbox until this transaction ends.
PGDLLEXPORT Datum paysync_try_maintain(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    PG_RETURN_BOOL(paysync::try_lock(paysync::kMaintainLock));
}

// paysync.try_empty() returns bool: nobody is getting a claim to what the outbox holds, nor does until this transaction
// ends.
PGDLLEXPORT Datum paysync_try_empty(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    PG_RETURN_BOOL(paysync::try_lock(paysync::kClaimLock));
}

// paysync.claim() returns void: until this transaction ends no segment is emptied. Waits for who is emptying one.
PGDLLEXPORT Datum paysync_claim(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    const LOCKTAG tag = paysync::lock_tag(paysync::kClaimLock);
    (void)LockAcquire(&tag, ShareLock, false, false);
    PG_RETURN_VOID();
}
}

// The relay's lease: a session lock that only this function can take, so nobody can hold it against the relay.
#include "outbox/catalog.hpp"
#include "owner_rights.hpp"

namespace paysync {
namespace {

constexpr uint16 kLeaseSubId = 1;

LOCKTAG lease_tag() {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId,
                       get_relname_relid("fence", get_namespace_oid("paysync", false)), kLeaseSubId);
    // Of the advisory locks' kind: a session lock of the other kind is given up with every transaction that fails.
    tag.locktag_lockmethodid = USER_LOCKMETHOD;
    return tag;
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_try_lease);

// paysync.try_lease() returns bool: this session has the lease now, until it ends.
PGDLLEXPORT Datum paysync_try_lease(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    const LOCKTAG tag = paysync::lease_tag();
    const LockAcquireResult result = LockAcquire(&tag, ExclusiveLock, true, true);
    if (result == LOCKACQUIRE_ALREADY_HELD)
        LockRelease(&tag, ExclusiveLock, true);  // held once, however often it is asked for
    PG_RETURN_BOOL(result != LOCKACQUIRE_NOT_AVAIL);
}
}

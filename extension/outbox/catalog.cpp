#include "outbox/catalog.hpp"

#include "outbox/named_columns.hpp"

namespace paysync {
namespace {

// What was looked up, and as of which invalidation: the count before the look-up. It is set last, so that a look-up
// that fails in the middle, as any read can, leaves nothing that is taken for known.
Catalog known;
uint64 catalog_as_of = 0;
uint64 catalog_invalidations = 1;
OutboxState state;
uint64 state_as_of = 0;
uint64 state_invalidations = 1;

// Relation `name` of schema paysync, or an error.
Oid find_relation(Oid schema, const char* name) {
    const Oid found = get_relname_relid(name, schema);
    if (!OidIsValid(found))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("relation \"paysync.%s\" does not exist", name),
                        errhint("Extension paysync is missing or damaged: create it again.")));
    return found;
}

// `name`, or else the one of versions before 0.3.
Oid find_either(Oid schema, const char* name, const char* old_name) {
    const Oid found = get_relname_relid(name, schema);
    return OidIsValid(found) ? found : find_relation(schema, old_name);
}

OutboxTable find_table(Oid schema, const char* format, int slot) {
    char* name = psprintf(format, slot);
    char* index = psprintf("%s_pkey", name);
    return OutboxTable{find_relation(schema, name), find_relation(schema, index)};
}

// The tables of this version, or the one of an older version whose functions this library serves as well.
void find_ring(Oid schema) {
    const bool is_old = !OidIsValid(get_relname_relid("ring_0", schema));
    known.old_ring = is_old ? find_relation(schema, "ring") : InvalidOid;
    for (int slot = 0; slot < kSlots; ++slot)
        known.ring[slot] = is_old ? InvalidOid : find_relation(schema, psprintf("ring_%d", slot));
}

void load_catalog() {
    const Oid schema = get_namespace_oid("paysync", true);
    if (!OidIsValid(schema))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("schema \"paysync\" does not exist"),
                        errhint("CREATE EXTENSION paysync.")));
    // The look-ups below may themselves take in an invalidation; then what was found is looked up again.
    uint64 as_of = 0;
    do {
        as_of = catalog_invalidations;
        for (int slot = 0; slot < kSlots; ++slot) {
            known.chunk[slot] = find_table(schema, "chunk_%d", slot);
            known.closing[slot] = get_relname_relid(psprintf("closing_%d", slot), schema);
            known.tick[slot] = find_table(schema, "tick_%d", slot);
        }
        known.shapes = OutboxTable{find_relation(schema, "shapes"), find_relation(schema, "shapes_pkey")};
        // Its name was changed with the ring: a session with an older library fails here, in mid-transaction, and not
        // by reading a view like a table.
        known.shapes_by_fingerprint = find_either(schema, "shapes_by_fingerprint", "shapes_fingerprint");
        known.shapes_sequence = find_relation(schema, "shapes_id_seq");
        known.registration = find_relation(schema, "registration");
        known.registration_index = find_relation(schema, "registration_pkey");
        find_ring(schema);
        known.capture_state = get_relname_relid("capture_state", schema);
        known.reader = find_relation(schema, "reader");
        known.subscriber = find_relation(schema, "subscriber");
    } while (as_of != catalog_invalidations);
    catalog_as_of = as_of;
}

int32 int_field(HeapTuple tuple, Relation table, int column) {
    bool is_null = false;
    const Datum value = heap_getattr(tuple, column, RelationGetDescr(table), &is_null);
    return is_null ? -1 : DatumGetInt32(value);
}

// ring (slot int, current bool, …): the slot that is current.
int read_old_ring() {
    const Relation table = table_open(known.old_ring, AccessShareLock);
    const SysScanDesc scan = systable_beginscan(table, InvalidOid, false, nullptr, 0, nullptr);
    int slot = -1;
    for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
        bool is_null = false;
        if (DatumGetBool(heap_getattr(tuple, 2, RelationGetDescr(table), &is_null))) slot = int_field(tuple, table, 1);
    }
    systable_endscan(scan);
    table_close(table, AccessShareLock);
    return slot;
}

// The generation of a segment, ring_N (generation bigint, …); 0: it is free. So it is to a writer who would have to
// wait: the table is being emptied. The lock is held where `waits` is false.
int64 read_generation(Oid ring, bool waits) {
    if (waits) {
        LockRelationOid(ring, AccessShareLock);
    } else if (!ConditionalLockRelationOid(ring, AccessShareLock)) {
        return 0;
    }
    const Relation table = table_open(ring, NoLock);
    const SysScanDesc scan = systable_beginscan(table, InvalidOid, false, nullptr, 0, nullptr);
    const HeapTuple tuple = systable_getnext(scan);
    int64 generation = 0;
    if (HeapTupleIsValid(tuple)) {
        bool is_null = false;
        generation = DatumGetInt64(heap_getattr(tuple, 1, RelationGetDescr(table), &is_null));
    }
    systable_endscan(scan);
    table_close(table, AccessShareLock);
    return generation;
}

int newest_slot(bool waits) {
    int slot = -1;
    int64 newest = 0;
    for (int i = 0; i < kSlots; ++i) {
        const int64 generation = read_generation(known.ring[i], waits);
        if (generation <= newest) continue;
        newest = generation;
        slot = i;
    }
    return slot;
}

int read_current_slot() {
    int slot = OidIsValid(known.old_ring) ? read_old_ring() : newest_slot(false);
    if (slot < 0 && !OidIsValid(known.old_ring)) slot = newest_slot(true);
    if (slot < 0 || slot >= kSlots)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("paysync.ring names no current segment")));
    return slot;
}

// capture_state (…, mode text, …). Who resumes keeps everything already.
CaptureMode read_mode() {
    if (!OidIsValid(known.capture_state)) return CaptureMode::kOn;
    const Relation table = table_open(known.capture_state, AccessShareLock);
    const SysScanDesc scan = systable_beginscan(table, InvalidOid, false, nullptr, 0, nullptr);
    const HeapTuple tuple = systable_getnext(scan);
    CaptureMode mode = CaptureMode::kOn;
    if (HeapTupleIsValid(tuple)) {
        const char* const name = NamedColumns{tuple, RelationGetDescr(table)}.text_or("mode", "on");
        if (strcmp(name, "suspended") == 0) mode = CaptureMode::kSuspended;
        if (strcmp(name, "refusing") == 0) mode = CaptureMode::kRefusing;
    }
    systable_endscan(scan);
    table_close(table, AccessShareLock);
    return mode;
}

bool has_rows(Oid relation) {
    const Relation table = table_open(relation, AccessShareLock);
    const SysScanDesc scan = systable_beginscan(table, InvalidOid, false, nullptr, 0, nullptr);
    const bool found = HeapTupleIsValid(systable_getnext(scan));
    systable_endscan(scan);
    table_close(table, AccessShareLock);
    return found;
}

// reader (singleton bool, procno int, pid int, postmaster_start timestamptz).
void read_reader(int& procno, int& pid) {
    procno = -1;
    pid = 0;
    const Relation table = table_open(known.reader, AccessShareLock);
    const SysScanDesc scan = systable_beginscan(table, InvalidOid, false, nullptr, 0, nullptr);
    const HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple)) {
        bool is_null = false;
        const Datum started = heap_getattr(tuple, 4, RelationGetDescr(table), &is_null);
        if (!is_null && DatumGetTimestampTz(started) == PgStartTime) {
            procno = int_field(tuple, table, 2);
            pid = int_field(tuple, table, 3);
        }
    }
    systable_endscan(scan);
    table_close(table, AccessShareLock);
}

void load_state() {
    uint64 as_of = 0;
    do {
        as_of = state_invalidations;
        catalog();
        state.slot = read_current_slot();
        state.has_subscribers = has_rows(known.subscriber);
        state.mode = read_mode();
        read_reader(state.reader_procno, state.reader_pid);
    } while (as_of != state_invalidations || catalog_as_of != catalog_invalidations);
    state_as_of = as_of;
}

bool is_member(Oid relation) {
    for (int slot = 0; slot < kSlots; ++slot)
        if (relation == known.chunk[slot].table || relation == known.closing[slot] ||
            relation == known.tick[slot].table)
            return true;
    return relation == known.shapes.table || relation == known.registration;
}

bool is_of_ring(Oid relation) {
    for (int slot = 0; slot < kSlots; ++slot)
        if (relation == known.ring[slot]) return true;
    return relation == known.old_ring;
}

// Called for every relcache invalidation of the session: must be quick and must not look anything up.
void on_invalidation(Datum, Oid relation) {
    const bool is_state = is_of_ring(relation) || relation == known.capture_state || relation == known.reader ||
                          relation == known.subscriber;
    if (relation == InvalidOid || is_state) state_invalidations += 1;
    if (relation == InvalidOid || is_member(relation) || is_state) catalog_invalidations += 1;
}

}  // namespace

const Catalog& catalog() {
    if (catalog_as_of != catalog_invalidations) load_catalog();
    return known;
}

const OutboxState& outbox_state() {
    if (state_as_of != state_invalidations) load_state();
    return state;
}

void watch_catalog() { CacheRegisterRelcacheCallback(on_invalidation, 0); }

}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_invalidate);

// Statement trigger on the ring's tables, reader, subscriber and capture_state: lets every session see at its next
// statement that the table changed.
PGDLLEXPORT Datum paysync_invalidate(PG_FUNCTION_ARGS) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("paysync.invalidate() is a trigger function")));
    CacheInvalidateRelcache(reinterpret_cast<TriggerData*>(fcinfo->context)->tg_relation);
    return PointerGetDatum(nullptr);
}
}

// What the server's own functions ask about closing records: the one of a number, and whether a segment holds any that
// a tick does not.
#include "drain/chunk_reader.hpp"
#include "drain/closing_scan.hpp"
#include "drain/tick_store.hpp"

namespace paysync {
namespace {

void note(void* context, const ClosingRow&) { *static_cast<bool*>(context) = true; }

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_closing_of);
PG_FUNCTION_INFO_V1(paysync_holds_unseen);

// paysync.closing_of(number bigint) returns bytea: the payload of a transaction's closing record; null where the outbox
// does not hold it.
PGDLLEXPORT Datum paysync_closing_of(PG_FUNCTION_ARGS) {
    using namespace paysync;
    const int64 number = PG_GETARG_INT64(0);
    auto* const tick = static_cast<Tick*>(palloc(sizeof(Tick)));
    if (!find_tick(number, *tick)) PG_RETURN_NULL();
    const auto index = number - tick->first_number;
    OpenSegments segments = open_segments();
    Datum payload = 0;
    const bool found = read_closing(segments, tick->slots[index], tick->xids[index], tick->places[index], payload);
    if (found) payload = datumCopy(payload, false, -1);
    close_segments(segments);
    if (!found) PG_RETURN_NULL();
    PG_RETURN_DATUM(payload);
}

// paysync.holds_unseen(slot int, number bigint) returns boolean: does the segment hold a transaction that the exact
// tick which ends at `number` does not see? The caller has locked the segment against writers.
PGDLLEXPORT Datum paysync_holds_unseen(PG_FUNCTION_ARGS) {
    using namespace paysync;
    const int slot = PG_GETARG_INT32(0);
    if (slot < 0 || slot >= kSlots)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there is no segment %d", slot)));
    const StreamHead tick = read_exact(PG_GETARG_INT64(1));
    bool found = false;
    scan_closings_of(slot, tick.cut, tick.frontier, GetActiveSnapshot(), note, &found, nullptr);
    PG_RETURN_BOOL(found);
}
}

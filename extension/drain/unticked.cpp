// paysync.unticked(): what is committed but not yet in a tick, as an observer sees it now.
#include "drain/closing_scan.hpp"
#include "drain/tick_store.hpp"

namespace paysync {
namespace {

struct Backlog {
    int64 transactions;
    int64 bytes;
    TimestampTz oldest;
};

void add(void* context, const ClosingRow& row) {
    Backlog& backlog = *static_cast<Backlog*>(context);
    const wire::Closing closing = parse_closing(row.xid, row.payload);
    if (backlog.transactions == 0 || closing.time < backlog.oldest) backlog.oldest = closing.time;
    backlog.transactions += 1;
    backlog.bytes += static_cast<int64>(closing.bytes);
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_unticked);

// paysync.unticked(OUT transactions bigint, OUT bytes bigint, OUT oldest timestamptz).
PGDLLEXPORT Datum paysync_unticked(PG_FUNCTION_ARGS) {
    using namespace paysync;
    Backlog backlog{};
    const StreamHead head = read_head();
    scan_closings(head.cut, head.frontier, GetActiveSnapshot(), add, &backlog, nullptr);
    backlog.oldest = Max(backlog.oldest, head.taken_at);  // what was prepared before was not to be seen
    TupleDesc columns = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &columns) != TYPEFUNC_COMPOSITE)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("paysync.unticked() returns a row")));
    Datum values[] = {Int64GetDatum(backlog.transactions), Int64GetDatum(backlog.bytes),
                      TimestampTzGetDatum(backlog.oldest)};
    bool nulls[] = {false, false, backlog.transactions == 0};
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}
}

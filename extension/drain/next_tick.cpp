// CALL paysync.next_tick(): waits for the next tick without holding a snapshot, so that a relay at rest keeps no row
// from being vacuumed. Writers wake it through this process's latch after they have become visible.
#include "drain/ticker.hpp"
#include "owner_rights.hpp"

#include <cmath>

namespace paysync {
namespace {

// After activity a wake-up that was lost (COMMIT PREPARED sets no latch) costs this, later the longer one.
constexpr int64 kShortPollMs = 10;
constexpr int64 kLongPollMs = 100;
constexpr int64 kActiveMs = 1000;
// Spacing of ticks by how many transactions the last one held, up to the caller's pace. Alone, a transaction is cut at
// once; a few wait a quarter of a millisecond for each: at 1,000 transactions a second that costs a fifth more ticks
// than half of one, and saves a third of the time until a transaction is there. Beyond, spacing grows with the power
// 2/3, which is with the square of the rate: 1 ms at 4,000 a second, 6 at 10,000. Where processors are full, each tick
// that is saved is time for writers.
constexpr int64 kFewTransactions = 4;
constexpr int64 kSpacingPerTransactionUs = 250;

struct LastTick {
    int64 at_us;
    int64 transactions;
};
LastTick last_tick{};
bool attached = false;  // writers have been told of this process

// Of a clock that nobody sets: one that was set back would be slept out.
int64 monotonic_us() {
    instr_time now;
    INSTR_TIME_SET_CURRENT(now);
    return static_cast<int64>(INSTR_TIME_GET_MICROSEC(now));
}

void check_called_right(FunctionCallInfo fcinfo) {
    PreventCommandDuringRecovery("paysync.next_tick()");
    const bool atomic = fcinfo->context == nullptr || !IsA(fcinfo->context, CallContext) ||
                        reinterpret_cast<CallContext*>(fcinfo->context)->atomic;
    if (atomic)
        ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
                        errmsg("paysync.next_tick() cannot be called inside a transaction block"),
                        errhint("CALL it by itself.")));
    if (IsolationUsesXactSnapshot())
        ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                        errmsg("paysync.next_tick() needs isolation level read committed"),
                        errhint("SET default_transaction_isolation = 'read committed'.")));
    for (int i = 0; i < 4; ++i)
        if (fcinfo->args[i].isnull)
            ereport(ERROR,
                    (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("paysync.next_tick() takes no null argument")));
}

// Tells writers whose latch to set. The statement trigger on paysync.reader lets them look.
void attach(Oid owner) {
#if PG_VERSION_NUM >= 170000
    const int procno = MyProcNumber;
#else
    const int procno = MyProc->pgprocno;
#endif
    Oid types[] = {INT4OID, INT4OID, TIMESTAMPTZOID};
    Datum values[] = {Int32GetDatum(procno), Int32GetDatum(MyProcPid), TimestampTzGetDatum(PgStartTime)};
    const CallerIdentity caller = become(owner);
    if (SPI_execute_with_args("UPDATE paysync.reader SET procno = $1, pid = $2, postmaster_start = $3", 3, types,
                              values, nullptr, false, 0) != SPI_OK_UPDATE ||
        SPI_processed != 1)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("paysync.reader has no row")));
    become_again(caller);
    SPI_commit();
    attached = true;
}

TickResult look(int64 epoch, int64 known, Oid owner) {
    const CallerIdentity caller = become(owner);
    const TickResult result = cut_ticks(epoch, known);
    become_again(caller);
    SPI_commit();  // with it goes the snapshot
    if (result.transactions > 0) last_tick = LastTick{monotonic_us(), result.transactions};
    return result;
}

int64 spacing_us(int64 transactions) {
    if (transactions <= kFewTransactions) return transactions * kSpacingPerTransactionUs;
    const double times = static_cast<double>(transactions) / kFewTransactions;
    return static_cast<int64>(kFewTransactions * kSpacingPerTransactionUs * std::cbrt(times * times));
}

// Keeps the distance to the tick before.
void keep_pace(int64 pace_us) {
    const int64 spacing = Min(pace_us, spacing_us(last_tick.transactions));
    const int64 passed = monotonic_us() - last_tick.at_us;
    if (passed < spacing) pg_usleep(static_cast<long>(spacing - passed));
}

// Sleeps until a writer sets the latch, `left_us` have passed, or it is time to look by itself. A relay that died is
// noticed here, so that the next one need not wait for the lease.
void wait(int64 left_us) {
    const int64 poll_ms = monotonic_us() - last_tick.at_us < kActiveMs * 1000 ? kShortPollMs : kLongPollMs;
    const long timeout_ms = static_cast<long>(Max(int64{1}, Min(poll_ms, left_us / 1000)));
    int events = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;
    if (MyProcPort != nullptr && WaitEventSetCanReportClosed()) events |= WL_SOCKET_CLOSED;
    const pgsocket socket = MyProcPort != nullptr ? MyProcPort->sock : PGINVALID_SOCKET;
    if ((WaitLatchOrSocket(MyLatch, events, socket, timeout_ms, PG_WAIT_EXTENSION) & WL_SOCKET_CLOSED) != 0)
        ereport(FATAL, (errcode(ERRCODE_CONNECTION_FAILURE), errmsg("the relay closed its connection")));
}

int64 wait_for_tick(int64 epoch, int64 wait_ms, int64 pace_ms, int64 known, Oid owner) {
    const int64 until_us = monotonic_us() + wait_ms * 1000;
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        keep_pace(pace_ms * 1000);
        // Reset before looking: what comes after the look sets it again.
        ResetLatch(MyLatch);
        const int64 head = look(epoch, known, owner).head;
        const int64 left_us = until_us - monotonic_us();
        if (head > known || left_us <= 0) return head;
        wait(left_us);
    }
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_cut_next_tick);
PG_FUNCTION_INFO_V1(paysync_next_tick);

// CALL paysync.next_tick(epoch bigint, wait_ms int, pace_ms int, INOUT head bigint).
PGDLLEXPORT Datum paysync_cut_next_tick(PG_FUNCTION_ARGS) {
    using namespace paysync;
    check_called_right(fcinfo);
    const Oid owner = function_owner(fcinfo);
    if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
        ereport(ERROR, (errmsg("could not connect to the query executor")));
    if (!attached) attach(owner);
    const int64 head =
        wait_for_tick(PG_GETARG_INT64(0), PG_GETARG_INT32(1), PG_GETARG_INT32(2), PG_GETARG_INT64(3), owner);
    SPI_finish();

    TupleDesc columns = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &columns) != TYPEFUNC_COMPOSITE)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("paysync.next_tick() returns a row")));
    Datum values[] = {Int64GetDatum(head)};
    bool nulls[] = {false};
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

// The same for the SQL of versions before 0.3.
PGDLLEXPORT Datum paysync_next_tick(PG_FUNCTION_ARGS) { return paysync_cut_next_tick(fcinfo); }
}

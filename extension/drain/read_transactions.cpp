// paysync.read_transactions(): the stream by number, in pages, as its ticks recorded it.
#include "drain/chunk_reader.hpp"
#include "drain/closing_scan.hpp"
#include "drain/kept_plan.hpp"
#include "drain/tick_store.hpp"
#include "row_output.hpp"

namespace paysync {
namespace {

struct StreamPage {
    RowOutput rows;
    OpenSegments segments;
    int64 left;  // bytes that still fit
    int64 number;
    int64 epoch;
    Datum nonce;
    uint64 xid;
};

bool put_chunk(void* context, int32 part, Datum payload) {
    StreamPage& page = *static_cast<StreamPage*>(context);
    const Datum values[] = {Int64GetDatum(page.number),
                            Int64GetDatum(page.epoch),
                            page.nonce,
                            Int64GetDatum(static_cast<int64>(page.xid)),
                            Int32GetDatum(part),
                            payload};
    const bool nulls[] = {false, false, false, false, false, false};
    put_row(page.rows, values, nulls);
    page.left -= VARSIZE_ANY_EXHDR(DatumGetPointer(payload));
    return page.left > 0;
}

[[noreturn]] void report_missing(int64 number, uint64 xid) {
    ereport(ERROR,
            (errcode(kOutboxMismatch),
             errmsg("transaction %lld is recorded but not in the outbox", static_cast<long long>(number)),
             errdetail("Its source transaction id is %llu.", static_cast<unsigned long long>(xid)),
             errhint("The outbox was damaged or emptied by hand; subscribers behind this number need a new copy.")));
    pg_unreachable();
}

Datum nonce_of_epoch(int64 epoch) {
    static SPIPlanPtr plan = nullptr;
    Oid types[] = {INT8OID};
    Datum values[] = {Int64GetDatum(epoch)};
    kept_plan(plan, "SELECT nonce FROM paysync.epochs WHERE epoch = $1", 1, types);
    if (SPI_execute_plan(plan, values, nullptr, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("epoch %lld is not in paysync.epochs", static_cast<long long>(epoch))));
    bool is_null = false;
    return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
}

// One transaction, from behind `after_part` (-1: from its closing record); false when the page is full.
bool put_transaction(StreamPage& page, int slot, ItemPointerData place, int32 after_part) {
    if (after_part < 0) {
        Datum payload = 0;
        if (!read_closing(page.segments, slot, page.xid, place, payload)) report_missing(page.number, page.xid);
        (void)put_chunk(&page, 0, payload);
    }
    if (page.left > 0)
        (void)read_chunks(page.segments, slot, page.xid, Max(after_part, 0) + 1, PG_INT32_MAX, put_chunk, &page);
    return page.left > 0;
}

void put_page(StreamPage& page, int64 number, int32 after_part) {
    auto* const tick = static_cast<Tick*>(palloc(sizeof(Tick)));
    int64 epoch = -1;
    int64 next = number;
    while (find_tick(next, *tick)) {
        if (tick->epoch != epoch) page.nonce = nonce_of_epoch(epoch = tick->epoch);
        page.epoch = epoch;
        for (int64 i = next - tick->first_number; i < tick->transactions; ++i) {
            page.number = tick->first_number + i;
            page.xid = tick->xids[i];
            if (!put_transaction(page, tick->slots[i], tick->places[i], page.number == number ? after_part : -1))
                return;
        }
        next = tick->last_number + 1;
    }
    if (next == number && tick->first_number > number)
        ereport(ERROR,
                (errcode(MAKE_SQLSTATE('P', 'S', '0', '0', '5')),
                 errmsg("transaction %lld is no longer kept", static_cast<long long>(number)),
                 errdetail("The oldest number to go on after is %lld.", static_cast<long long>(tick->first_number - 1)),
                 errhint("This subscriber needs a new copy.")));
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_read_transactions);

// paysync.read_transactions(first_number bigint, after_part int, max_bytes int)
// returns setof (number bigint, epoch bigint, nonce text, xid bigint, part int, payload bytea).
PGDLLEXPORT Datum paysync_read_transactions(PG_FUNCTION_ARGS) {
    using namespace paysync;
    StreamPage page{};
    page.rows = begin_rows(fcinfo);
    page.left = PG_GETARG_INT32(2);
    if (SPI_connect() != SPI_OK_CONNECT) ereport(ERROR, (errmsg("could not connect to the query executor")));
    page.segments = open_segments();
    put_page(page, PG_GETARG_INT64(0), PG_GETARG_INT32(1));
    close_segments(page.segments);
    SPI_finish();
    return Datum{0};
}
}

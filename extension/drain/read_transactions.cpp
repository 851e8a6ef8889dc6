// The stream by number, in pages, as its ticks recorded it: paysync.read_page() in the relay's packed form,
// paysync.read_transactions() as rows.
#include "drain/chunk_reader.hpp"
#include "drain/closing_scan.hpp"
#include "drain/kept_plan.hpp"
#include "drain/tick_store.hpp"
#include "row_output.hpp"
#include "wire/page.hpp"

namespace paysync {
namespace {

// A packed page is cut into pieces behind the chunk that brings one to this.
constexpr int kPieceBytes = 64 * 1024;

struct StreamPage {
    StringInfo packed;  // the piece that is being packed; null: chunks are given as rows
    RowOutput rows;
    OpenSegments segments;
    int64 left;  // bytes that still fit
    int64 number;
    int64 epoch;
    Datum nonce;
    uint64 xid;
};

wire::Bytes bytes_of(Datum payload) {
    auto* const value = reinterpret_cast<varlena*>(DatumGetPointer(payload));
    return wire::Bytes(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

void put_as_row(StreamPage& page, int32 part, Datum payload) {
    const Datum values[] = {Int64GetDatum(page.number),
                            Int64GetDatum(page.epoch),
                            page.nonce,
                            Int64GetDatum(static_cast<int64>(page.xid)),
                            Int32GetDatum(part),
                            payload};
    const bool nulls[] = {false, false, false, false, false, false};
    put_row(page.rows, values, nulls);
}

void put_packed(StringInfo packed, uint64 number, uint64 xid, int32 part, wire::Bytes payload) {
    enlargeStringInfo(packed, static_cast<int>(wire::kChunkHeadBytes + payload.size()));
    wire::put_chunk_head(packed->data + packed->len, number, xid, part, static_cast<uint32_t>(payload.size()));
    memcpy(packed->data + packed->len + wire::kChunkHeadBytes, payload.data(), payload.size());
    packed->len += static_cast<int>(wire::kChunkHeadBytes + payload.size());
}

// The server maps and clears memory for whatever a call gives, three times over: the less at once, the more of it is
// used again.
void put_piece(StreamPage& page) {
    SET_VARSIZE(page.packed->data, page.packed->len);
    const Datum piece = PointerGetDatum(page.packed->data);
    const bool is_null = false;
    put_row(page.rows, &piece, &is_null);
    page.packed->len = VARHDRSZ;
}

bool put_chunk(void* context, int32 part, Datum payload) {
    StreamPage& page = *static_cast<StreamPage*>(context);
    if (page.packed == nullptr) {
        put_as_row(page, part, payload);
    } else {
        put_packed(page.packed, static_cast<uint64>(page.number), page.xid, part, bytes_of(payload));
        if (page.packed->len >= kPieceBytes) put_piece(page);
    }
    page.left -= static_cast<int64>(bytes_of(payload).size());
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

// Whether there is more of a transaction than its closing record. What cannot be read is the reader's to judge.
bool has_parts(wire::Bytes payload) {
    wire::Reader reader(payload);
    wire::Closing closing;
    return !wire::read_closing_head(reader, closing) || closing.parts > 0;
}

// The closing record of the transaction at `index`; true where parts follow that fit.
bool put_closing(StreamPage& page, const Tick& tick, int index) {
    Datum payload = 0;
    if (!read_closing(page.segments, tick.slots[index], page.xid, tick.places[index], payload))
        report_missing(page.number, page.xid);
    const bool follow = has_parts(bytes_of(payload));
    return put_chunk(&page, 0, payload) && follow;
}

// The tick's transactions from `first` on, the first of them from behind `after_part` (-1: from its closing record);
// false when the page is full.
bool put_tick(StreamPage& page, const Tick& tick, int first, int32 after_part) {
    for (int index = first; index < tick.transactions; ++index) {
        CHECK_FOR_INTERRUPTS();
        const bool is_begun = index == first && after_part >= 0;
        page.number = tick.first_number + index;
        page.xid = tick.xids[index];
        if (is_begun || put_closing(page, tick, index)) {
            (void)read_chunks(page.segments, tick.slots[index], page.xid, is_begun ? after_part + 1 : 1, PG_INT32_MAX,
                              put_chunk, &page);
        }
        if (page.left <= 0) return false;
    }
    return true;
}

void set_epoch(StreamPage& page, int64 epoch) {
    page.nonce = nonce_of_epoch(epoch);
    page.epoch = epoch;
    if (page.packed != nullptr) put_packed(page.packed, 0, static_cast<uint64>(epoch), 0, bytes_of(page.nonce));
}

void put_ticks(StreamPage& page, int64 number, int32 after_part) {
    auto* const tick = static_cast<Tick*>(palloc(sizeof(Tick)));
    page.epoch = -1;
    int64 next = number;
    while (find_tick(next, *tick)) {
        if (tick->epoch != page.epoch) set_epoch(page, tick->epoch);
        if (!put_tick(page, *tick, static_cast<int>(next - tick->first_number), next == number ? after_part : -1)) {
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

// Arguments: first_number bigint, after_part int, max_bytes int.
void put_page(StreamPage& page, FunctionCallInfo fcinfo) {
    page.left = PG_GETARG_INT32(2);
    if (SPI_connect() != SPI_OK_CONNECT) ereport(ERROR, (errmsg("could not connect to the query executor")));
    page.segments = open_segments();
    put_ticks(page, PG_GETARG_INT64(0), PG_GETARG_INT32(1));
    close_segments(page.segments);
    SPI_finish();
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_read_transactions);
PG_FUNCTION_INFO_V1(paysync_read_page);

// paysync.read_transactions(first_number bigint, after_part int, max_bytes int)
// returns setof (number bigint, epoch bigint, nonce text, xid bigint, part int, payload bytea).
PGDLLEXPORT Datum paysync_read_transactions(PG_FUNCTION_ARGS) {
    using namespace paysync;
    auto* const page = static_cast<StreamPage*>(palloc0(sizeof(StreamPage)));
    page->rows = begin_rows(fcinfo);
    put_page(*page, fcinfo);
    return Datum{0};
}

// paysync.read_page(first_number bigint, after_part int, max_bytes int) returns setof bytea: the same, packed, in
// pieces (wire/page.hpp).
PGDLLEXPORT Datum paysync_read_page(PG_FUNCTION_ARGS) {
    using namespace paysync;
    auto* const page = static_cast<StreamPage*>(palloc0(sizeof(StreamPage)));
    page->rows = begin_rows(fcinfo, RowsOf::kValues);
    page->packed = makeStringInfo();
    page->packed->len = VARHDRSZ;
    put_page(*page, fcinfo);
    if (page->packed->len > VARHDRSZ) put_piece(*page);
    return Datum{0};
}
}

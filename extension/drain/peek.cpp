// paysync.peek(): committed changes, decoded, with or without a relay. What no tick holds yet comes last, without
// position.
#include "drain/chunk_reader.hpp"
#include "drain/closing_scan.hpp"
#include "drain/peek_rows.hpp"
#include "drain/tick_store.hpp"

namespace paysync {
namespace {

struct Peek {
    PeekRows rows;
    OpenSegments segments;
    int64 left;         // transactions that may still come
    ByteBuffer stream;  // of the transaction at hand
    ByteBuffer closing;
};

bool keep_part(void* context, int32, Datum payload) {
    static_cast<Peek*>(context)->stream.write(VARDATA_ANY(DatumGetPointer(payload)),
                                              VARSIZE_ANY_EXHDR(DatumGetPointer(payload)));
    return true;
}

// Joins the stream of a transaction's changes; what its closing record says must be there.
wire::Closing join_stream(Peek& peek, int slot, uint64 xid, ItemPointerData place) {
    peek.closing.start(peek.rows.memory);
    peek.stream.start(peek.rows.memory);
    Datum payload = 0;
    int64 parts = 0;
    if (read_closing(peek.segments, slot, xid, place, payload)) {
        peek.closing.write(VARDATA_ANY(DatumGetPointer(payload)), VARSIZE_ANY_EXHDR(DatumGetPointer(payload)));
        parts = read_chunks(peek.segments, slot, xid, 1, PG_INT32_MAX, keep_part, &peek);
    }
    const wire::Closing closing = parse_closing(xid, peek.closing.bytes());
    const size_t before_tail = closing.bytes - closing.tail.size();
    if (static_cast<uint64>(parts) != closing.parts || peek.stream.size() < before_tail)
        ereport(ERROR, (errcode(kOutboxMismatch),
                        errmsg("chunks of transaction %llu are missing", static_cast<unsigned long long>(xid)),
                        errdetail("Of %llu parts, %lld are there.", static_cast<unsigned long long>(closing.parts),
                                  static_cast<long long>(parts))));
    peek.stream.cut(before_tail);  // behind it stands the manifest, if it had parts of its own
    peek.stream.write(closing.tail.data(), closing.tail.size());
    return closing;
}

void put_transaction(Peek& peek, int slot, uint64 xid, ItemPointerData place, const char* position) {
    const wire::Closing closing = join_stream(peek, slot, xid, place);
    put_changes(peek.rows, WholeTransaction{xid, closing, peek.stream.bytes()}, position);
    peek.left -= 1;
}

int64 query_number(const char* command, Datum argument) {
    Oid types[] = {TEXTOID};
    Datum values[] = {argument};
    const int arguments = argument == Datum{0} ? 0 : 1;
    if (SPI_execute_with_args(command, arguments, types, values, nullptr, true, 1) != SPI_OK_SELECT ||
        SPI_processed != 1)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("the stream's numbers could not be read")));
    bool is_null = false;
    return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
}

char* position_of(int64 number) {
    Oid types[] = {INT8OID};
    Datum values[] = {Int64GetDatum(number)};
    if (SPI_execute_with_args("SELECT paysync.position_of($1)", 1, types, values, nullptr, true, 1) != SPI_OK_SELECT ||
        SPI_processed != 1)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("the stream's epochs could not be read")));
    return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

void put_ticked(Peek& peek, int64 next) {
    auto* const tick = static_cast<Tick*>(palloc(sizeof(Tick)));
    while (peek.left > 0 && find_tick(next, *tick)) {
        for (int64 i = next - tick->first_number; i < tick->transactions && peek.left > 0; ++i)
            put_transaction(peek, tick->slots[i], tick->xids[i], tick->places[i], position_of(tick->first_number + i));
        next = tick->last_number + 1;
    }
}

// Transactions that no tick holds yet, to be put into order.
struct Waiting {
    XLogRecPtr order_key;
    uint64 xid;
    int slot;
    ItemPointerData place;
};
struct WaitingList {
    Waiting* transactions;
    size_t count;
    size_t capacity;
};

void add_waiting(void* context, const ClosingRow& row) {
    WaitingList& list = *static_cast<WaitingList*>(context);
    if (list.count == list.capacity) {
        list.capacity *= 2;
        list.transactions = static_cast<Waiting*>(repalloc_huge(list.transactions, sizeof(Waiting) * list.capacity));
    }
    list.transactions[list.count++] = Waiting{row.order_key, row.xid, row.slot, row.place};
}

void put_waiting(Peek& peek) {
    WaitingList list{static_cast<Waiting*>(palloc(sizeof(Waiting) * 64)), 0, 64};
    const StreamHead head = read_head();
    scan_closings(head.cut, head.frontier, GetActiveSnapshot(), add_waiting, &list, nullptr);
    std::sort(list.transactions, list.transactions + list.count, [](const Waiting& a, const Waiting& b) {
        return a.order_key != b.order_key ? a.order_key < b.order_key : a.xid < b.xid;
    });
    for (size_t i = 0; i < list.count && peek.left > 0; ++i)
        put_transaction(peek, list.transactions[i].slot, list.transactions[i].xid, list.transactions[i].place, nullptr);
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_peek);

// paysync.peek(since text, max_transactions int) returns setof (position, commit_time, xid, channel, table_name, op,
// key, old, new).
PGDLLEXPORT Datum paysync_peek(PG_FUNCTION_ARGS) {
    using namespace paysync;
    Peek peek{};
    peek.rows.rows = begin_rows(fcinfo);
    peek.left = PG_ARGISNULL(1) ? PG_INT64_MAX : PG_GETARG_INT32(1);
    if (peek.left < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_transactions must not be negative")));
    if (SPI_connect() != SPI_OK_CONNECT) ereport(ERROR, (errmsg("could not connect to the query executor")));
    peek.rows.memory = CurrentMemoryContext;
    peek.segments = open_segments();
    const int64 after = PG_ARGISNULL(0) ? query_number("SELECT paysync.oldest_number()", Datum{0})
                                        : query_number("SELECT paysync.check_position($1)", PG_GETARG_DATUM(0));
    put_ticked(peek, after + 1);
    put_waiting(peek);
    close_segments(peek.segments);
    SPI_finish();
    return Datum{0};
}
}

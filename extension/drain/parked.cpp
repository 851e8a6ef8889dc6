// Transactions that were passed over for a subscriber: what their closing record says, and their changes decoded.
#include "drain/closing_scan.hpp"
#include "drain/peek_rows.hpp"

namespace paysync {
namespace {

// Channels, as UTF-8.
struct ChannelList {
    wire::Bytes* channel;
    int count;
};

bool is_listed(void* context, wire::Bytes channel) {
    const ChannelList& list = *static_cast<const ChannelList*>(context);
    for (int i = 0; i < list.count; ++i)
        if (list.channel[i] == channel) return true;
    return false;
}

ChannelList read_channels(ArrayType* array) {
    Datum* elements = nullptr;
    bool* nulls = nullptr;
    ChannelList list{};
    deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &list.count);
    list.channel = static_cast<wire::Bytes*>(palloc(sizeof(wire::Bytes) * static_cast<size_t>(list.count + 1)));
    for (int i = 0; i < list.count; ++i) list.channel[i] = to_utf8(TextDatumGetCString(elements[i]));
    return list;
}

wire::Bytes payload_of(uint64 row) {
    bool is_null = false;
    const Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2, &is_null);
    auto* const payload = DatumGetByteaPP(value);
    return wire::Bytes(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload));
}

// Puts the transaction together from its rows, in the order of their parts.
WholeTransaction join_parked(int64 id, uint64 xid, ByteBuffer& closing, ByteBuffer& stream) {
    Oid types[] = {INT8OID};
    Datum values[] = {Int64GetDatum(id)};
    const SPIPlanPtr plan =
        SPI_prepare("SELECT part, payload FROM paysync.parked_chunk WHERE parked_id = $1 ORDER BY part", 1, types);
    const Portal cursor = SPI_cursor_open(nullptr, plan, values, nullptr, true);
    int64 parts = -1;
    for (SPI_cursor_fetch(cursor, true, 100); SPI_processed > 0; SPI_cursor_fetch(cursor, true, 100)) {
        for (uint64 row = 0; row < SPI_processed; ++row, ++parts) {
            const wire::Bytes payload = payload_of(row);
            (parts < 0 ? closing : stream).write(payload.data(), payload.size());
        }
        SPI_freetuptable(SPI_tuptable);
    }
    SPI_cursor_close(cursor);
    WholeTransaction transaction{xid, parse_closing(xid, closing.bytes()), wire::Bytes()};
    const size_t before_tail = transaction.closing.bytes - transaction.closing.tail.size();
    if (static_cast<uint64>(parts) != transaction.closing.parts || stream.size() < before_tail)
        ereport(ERROR, (errcode(kOutboxMismatch), errmsg("parked transaction is not whole")));
    stream.cut(before_tail);  // behind it stands the manifest, if it had parts of its own
    stream.write(transaction.closing.tail.data(), transaction.closing.tail.size());
    transaction.stream = stream.bytes();
    return transaction;
}

// The position of a parked transaction, and its source's id.
char* find_parked(int64 id, uint64& xid) {
    Oid types[] = {INT8OID};
    Datum values[] = {Int64GetDatum(id)};
    if (SPI_execute_with_args("SELECT position, xid FROM paysync.parked_transaction WHERE id = $1", 1, types, values,
                              nullptr, true, 1) != SPI_OK_SELECT ||
        SPI_processed != 1)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("parked transaction %lld does not exist", static_cast<long long>(id))));
    bool is_null = false;
    xid = U64FromFullTransactionId(
        DatumGetFullTransactionId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &is_null)));
    return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_read_closing);
PG_FUNCTION_INFO_V1(paysync_decode_parked);

// paysync.read_closing(payload bytea) returns (transaction_time timestamptz, changes bigint, bytes bigint, parts
// bigint).
PGDLLEXPORT Datum paysync_read_closing(PG_FUNCTION_ARGS) {
    using namespace paysync;
    auto* const payload = PG_GETARG_BYTEA_PP(0);
    const wire::Closing closing = parse_closing(0, wire::Bytes(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload)));
    TupleDesc columns = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &columns) != TYPEFUNC_COMPOSITE)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("paysync.read_closing() returns a row")));
    Datum values[] = {TimestampTzGetDatum(closing.time), Int64GetDatum(static_cast<int64>(closing.changes)),
                      Int64GetDatum(static_cast<int64>(closing.bytes)),
                      Int64GetDatum(static_cast<int64>(closing.parts))};
    bool nulls[] = {false, false, false, false};
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

// paysync.decode_parked(parked_id bigint, channels text[]) returns rows as paysync.peek() does.
PGDLLEXPORT Datum paysync_decode_parked(PG_FUNCTION_ARGS) {
    using namespace paysync;
    PeekRows peek{};
    peek.rows = begin_rows(fcinfo);
    if (SPI_connect() != SPI_OK_CONNECT) ereport(ERROR, (errmsg("could not connect to the query executor")));
    peek.memory = CurrentMemoryContext;
    ChannelList channels = read_channels(PG_GETARG_ARRAYTYPE_P(1));
    peek.shows = is_listed;
    peek.shows_context = &channels;
    ByteBuffer closing{};
    ByteBuffer stream{};
    closing.start(peek.memory);
    stream.start(peek.memory);
    uint64 xid = 0;
    const char* const position = find_parked(PG_GETARG_INT64(0), xid);
    put_changes(peek, join_parked(PG_GETARG_INT64(0), xid, closing, stream), position);
    SPI_finish();
    return Datum{0};
}
}

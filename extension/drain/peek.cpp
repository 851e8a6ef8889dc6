// paysync.peek(): committed changes, decoded, with or without a relay. What no tick holds yet comes last, without
// position.
#include "drain/chunk_reader.hpp"
#include "drain/closing_scan.hpp"
#include "drain/peek_json.hpp"
#include "drain/tick_store.hpp"
#include "row_output.hpp"

namespace paysync {
namespace {

// Columns of the result, from 0.
enum PeekColumn { kPosition, kCommitTime, kXid, kChannel, kTable, kOperation, kKey, kOld, kNew, kPeekColumns };

struct Peek {
    RowOutput rows;
    OpenSegments segments;
    DecodedShape* shapes;
    int64 left;            // transactions that may still come
    MemoryContext memory;  // of the whole call
    ByteBuffer stream;     // of the transaction at hand
    ByteBuffer closing;
};

Datum jsonb_datum(char* text) { return DirectFunctionCall1(jsonb_in, CStringGetDatum(text)); }

Datum text_datum(wire::Bytes utf8) {
    char* const text = pnstrdup(utf8.data(), utf8.size());
    return CStringGetTextDatum(pg_any_to_server(text, static_cast<int>(utf8.size()), PG_UTF8));
}

const DecodedShape& shape_by_id(Peek& peek, int64 id) {
    for (const DecodedShape* known = peek.shapes; known != nullptr; known = known->next)
        if (known->id == id) return *known;
    Oid types[] = {INT8OID};
    Datum values[] = {Int64GetDatum(id)};
    if (SPI_execute_with_args("SELECT description FROM paysync.shapes WHERE id = $1", 1, types, values, nullptr, true,
                              1) != SPI_OK_SELECT ||
        SPI_processed != 1)
        ereport(ERROR,
                (errcode(kOutboxMismatch), errmsg("shape %lld is not in paysync.shapes", static_cast<long long>(id))));
    bool is_null = false;
    const MemoryContext before = MemoryContextSwitchTo(peek.memory);
    bytea* const description =
        DatumGetByteaPCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
    DecodedShape* const shape = decode_shape(id, wire::Bytes(VARDATA(description), VARSIZE(description) - VARHDRSZ));
    MemoryContextSwitchTo(before);
    shape->next = peek.shapes;
    peek.shapes = shape;
    return *shape;
}

void put_change(Peek& peek, const wire::Change& change, Datum* values, bool* nulls) {
    ChangeJson json{};
    nulls[kTable] = change.operation == wire::Operation::kEvent;
    if (nulls[kTable]) {
        json = event_to_json(change);
        values[kChannel] = text_datum(change.channel);
    } else {
        const DecodedShape& shape = shape_by_id(peek, change.shape);
        json = change_to_json(change, shape);
        values[kChannel] = text_datum(shape.channel);
        values[kTable] = CStringGetTextDatum(psprintf("%s.%s", TextDatumGetCString(text_datum(shape.schema)),
                                                      TextDatumGetCString(text_datum(shape.table))));
    }
    values[kOperation] = CStringGetTextDatum(operation_name(change.operation));
    char* const parts[] = {json.key, json.old_row, json.new_row};
    for (int i = 0; i < 3; ++i) {
        nulls[kKey + i] = parts[i] == nullptr;
        if (parts[i] != nullptr) values[kKey + i] = jsonb_datum(parts[i]);
    }
    put_row(peek.rows, values, nulls);
}

bool keep_closing(void* context, int32, Datum payload) {
    static_cast<Peek*>(context)->closing.write(VARDATA_ANY(DatumGetPointer(payload)),
                                               VARSIZE_ANY_EXHDR(DatumGetPointer(payload)));
    return true;
}

bool keep_part(void* context, int32, Datum payload) {
    static_cast<Peek*>(context)->stream.write(VARDATA_ANY(DatumGetPointer(payload)),
                                              VARSIZE_ANY_EXHDR(DatumGetPointer(payload)));
    return true;
}

// Joins the stream of a transaction's changes; what its closing record says must be there.
wire::Closing join_stream(Peek& peek, int slot, uint64 xid) {
    peek.closing.start(peek.memory);
    peek.stream.start(peek.memory);
    const int64 closings = read_chunks(peek.segments, slot, xid, 0, 0, keep_closing, &peek);
    const int64 parts = closings == 1 ? read_chunks(peek.segments, slot, xid, 1, PG_INT32_MAX, keep_part, &peek) : 0;
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

wire::Placed* place_changes(const Peek& peek, const wire::Closing& closing, uint64 xid) {
    auto* const placed = static_cast<wire::Placed*>(
        MemoryContextAllocHuge(CurrentMemoryContext, sizeof(wire::Placed) * (closing.changes + 1)));
    wire::Reader reader(peek.stream.bytes());
    uint64 count = 0;
    while (!reader.at_end()) {
        CHECK_FOR_INTERRUPTS();
        wire::Change change;
        const size_t offset = reader.offset();
        if (count == closing.changes || !wire::read_change(reader, change))
            ereport(ERROR, (errcode(kOutboxMismatch),
                            errmsg("changes of transaction %llu are damaged", static_cast<unsigned long long>(xid))));
        placed[count] = wire::Placed{change.command, count, offset, change.bytes.size()};
        count += 1;
    }
    if (closing.reorder()) wire::order_changes(placed, count);
    return placed;
}

void put_transaction(Peek& peek, int slot, uint64 xid, const char* position) {
    const MemoryContext memory = AllocSetContextCreate(peek.memory, "paysync peek", ALLOCSET_DEFAULT_SIZES);
    const MemoryContext before = MemoryContextSwitchTo(memory);
    const wire::Closing closing = join_stream(peek, slot, xid);
    const wire::Placed* const placed = place_changes(peek, closing, xid);
    const MemoryContext row_memory = AllocSetContextCreate(memory, "paysync peek row", ALLOCSET_DEFAULT_SIZES);
    for (uint64 i = 0; i < closing.changes; ++i) {
        MemoryContextSwitchTo(row_memory);
        MemoryContextReset(row_memory);
        Datum values[kPeekColumns] = {};
        bool nulls[kPeekColumns] = {};
        nulls[kPosition] = position == nullptr;
        if (position != nullptr) values[kPosition] = CStringGetTextDatum(position);
        values[kCommitTime] = TimestampTzGetDatum(closing.time);
        values[kXid] = FullTransactionIdGetDatum(FullTransactionIdFromU64(xid));
        wire::Reader reader(wire::Bytes(peek.stream.bytes().data() + placed[i].offset, placed[i].length));
        wire::Change change;
        (void)!wire::read_change(reader, change);  // it was read once already
        put_change(peek, change, values, nulls);
    }
    MemoryContextSwitchTo(before);
    MemoryContextDelete(memory);
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
            put_transaction(peek, tick->slots[i], tick->xids[i], position_of(tick->first_number + i));
        next = tick->last_number + 1;
    }
}

// Transactions that no tick holds yet, to be put into order.
struct Waiting {
    XLogRecPtr order_key;
    uint64 xid;
    int slot;
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
    list.transactions[list.count++] = Waiting{row.order_key, row.xid, row.slot};
}

void put_waiting(Peek& peek) {
    WaitingList list{static_cast<Waiting*>(palloc(sizeof(Waiting) * 64)), 0, 64};
    scan_closings(read_head().cut, GetActiveSnapshot(), add_waiting, &list);
    std::sort(list.transactions, list.transactions + list.count, [](const Waiting& a, const Waiting& b) {
        return a.order_key != b.order_key ? a.order_key < b.order_key : a.xid < b.xid;
    });
    for (size_t i = 0; i < list.count && peek.left > 0; ++i)
        put_transaction(peek, list.transactions[i].slot, list.transactions[i].xid, nullptr);
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
    peek.rows = begin_rows(fcinfo);
    peek.left = PG_ARGISNULL(1) ? PG_INT64_MAX : PG_GETARG_INT32(1);
    if (peek.left < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_transactions must not be negative")));
    if (SPI_connect() != SPI_OK_CONNECT) ereport(ERROR, (errmsg("could not connect to the query executor")));
    peek.memory = CurrentMemoryContext;
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

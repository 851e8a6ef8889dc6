#include "drain/peek_rows.hpp"

#include "drain/closing_scan.hpp"

namespace paysync {
namespace {

// Columns of the result, from 0.
enum PeekColumn { kPosition, kCommitTime, kXid, kChannel, kTable, kOperation, kKey, kOld, kNew, kPeekColumns };

Datum jsonb_datum(char* text) { return DirectFunctionCall1(jsonb_in, CStringGetDatum(text)); }

Datum text_datum(wire::Bytes utf8) {
    char* const text = pnstrdup(utf8.data(), utf8.size());
    return CStringGetTextDatum(pg_any_to_server(text, static_cast<int>(utf8.size()), PG_UTF8));
}

const DecodedShape& shape_by_id(PeekRows& peek, int64 id) {
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

bool is_shown(const PeekRows& peek, wire::Bytes channel) {
    return peek.shows == nullptr || peek.shows(peek.shows_context, channel);
}

void put_change(PeekRows& peek, const wire::Change& change, Datum* values, bool* nulls) {
    ChangeJson json{};
    nulls[kTable] = change.operation == wire::Operation::kEvent;
    if (nulls[kTable]) {
        if (!is_shown(peek, change.channel)) return;
        json = event_to_json(change);
        values[kChannel] = text_datum(change.channel);
    } else {
        const DecodedShape& shape = shape_by_id(peek, change.shape);
        if (!is_shown(peek, shape.channel)) return;
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

wire::Placed* place_changes(const WholeTransaction& transaction) {
    const wire::Closing& closing = transaction.closing;
    auto* const placed = static_cast<wire::Placed*>(
        MemoryContextAllocHuge(CurrentMemoryContext, sizeof(wire::Placed) * (closing.changes + 1)));
    wire::Reader reader(transaction.stream);
    uint64 count = 0;
    while (!reader.at_end()) {
        CHECK_FOR_INTERRUPTS();
        wire::Change change;
        const size_t offset = reader.offset();
        if (count == closing.changes || !wire::read_change(reader, change))
            ereport(ERROR, (errcode(kOutboxMismatch), errmsg("changes of transaction %llu are damaged",
                                                             static_cast<unsigned long long>(transaction.xid))));
        placed[count] = wire::Placed{change.command, count, offset, change.bytes.size()};
        count += 1;
    }
    if (closing.reorder()) wire::order_changes(placed, count);
    return placed;
}

}  // namespace

void put_changes(PeekRows& peek, const WholeTransaction& transaction, const char* position) {
    const MemoryContext memory = AllocSetContextCreate(peek.memory, "paysync peek", ALLOCSET_DEFAULT_SIZES);
    const MemoryContext before = MemoryContextSwitchTo(memory);
    const wire::Placed* const placed = place_changes(transaction);
    const MemoryContext row_memory = AllocSetContextCreate(memory, "paysync peek row", ALLOCSET_DEFAULT_SIZES);
    for (uint64 i = 0; i < transaction.closing.changes; ++i) {
        MemoryContextSwitchTo(row_memory);
        MemoryContextReset(row_memory);
        Datum values[kPeekColumns] = {};
        bool nulls[kPeekColumns] = {};
        nulls[kPosition] = position == nullptr;
        if (position != nullptr) values[kPosition] = CStringGetTextDatum(position);
        values[kCommitTime] = TimestampTzGetDatum(transaction.closing.time);
        values[kXid] = FullTransactionIdGetDatum(FullTransactionIdFromU64(transaction.xid));
        wire::Reader reader(wire::Bytes(transaction.stream.data() + placed[i].offset, placed[i].length));
        wire::Change change;
        (void)!wire::read_change(reader, change);  // it was read once already
        put_change(peek, change, values, nulls);
    }
    MemoryContextSwitchTo(before);
    MemoryContextDelete(memory);
}

}  // namespace paysync

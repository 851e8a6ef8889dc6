// paysync.read_in_order(): the changes of one transaction in the order in which its rows changed. They are sorted by
// place, on disk where they are many, and given out as one stream of bytes that is cut anywhere.
#include "byte_buffer.hpp"
#include "drain/chunk_reader.hpp"
#include "drain/closing_scan.hpp"
#include "drain/tick_store.hpp"
#include "row_output.hpp"
#include "wire/change.hpp"

namespace paysync {
namespace {

constexpr size_t kPieceBytes = 65536;
constexpr int kSortMemoryKb = 16384;
// A change is sorted in fragments, so that no tuple is larger than this.
constexpr size_t kFragmentBytes = 1024 * 1024;

enum SortColumn { kSortPlace = 1, kSortIndex, kSortFragment, kSortBytes, kSortColumns = kSortBytes };

struct Sorter {
    uint64 xid;
    wire::Closing closing;
    ByteBuffer head;      // part 0, which `closing` looks into
    ByteBuffer waiting;   // the beginning of a change whose end was not seen yet
    size_t try_again_at;  // so many bytes must wait before it is worth looking for an end
    uint64 left;          // bytes of changes that are still to come; what follows is the manifest
    uint64 changes;
    TupleDesc columns;
    TupleTableSlot* row;
    Tuplesortstate* sort;
};

void begin_sort(Sorter& sorter) {
    sorter.columns = CreateTemplateTupleDesc(kSortColumns);
    TupleDescInitEntry(sorter.columns, kSortPlace, "place", INT8OID, -1, 0);
    TupleDescInitEntry(sorter.columns, kSortIndex, "index", INT8OID, -1, 0);
    TupleDescInitEntry(sorter.columns, kSortFragment, "fragment", INT8OID, -1, 0);
    TupleDescInitEntry(sorter.columns, kSortBytes, "bytes", BYTEAOID, -1, 0);
    AttrNumber columns[] = {kSortPlace, kSortIndex, kSortFragment};
    Oid less[] = {Int8LessOperator, Int8LessOperator, Int8LessOperator};
    Oid collations[] = {InvalidOid, InvalidOid, InvalidOid};
    bool nulls_first[] = {false, false, false};
    sorter.row = MakeSingleTupleTableSlot(sorter.columns, &TTSOpsVirtual);
    sorter.sort = tuplesort_begin_heap(sorter.columns, 3, columns, less, collations, nulls_first, kSortMemoryKb,
                                       nullptr, TUPLESORT_NONE);
}

[[noreturn]] void report_damage(const Sorter& sorter) {
    ereport(ERROR, (errcode(kOutboxMismatch),
                    errmsg("changes of transaction %llu are damaged", static_cast<unsigned long long>(sorter.xid))));
    pg_unreachable();
}

void put_change(Sorter& sorter, const wire::Change& change) {
    wire::Bytes left = change.bytes;
    for (int64 fragment = 0; !left.empty(); ++fragment) {
        const size_t length = Min(left.size(), kFragmentBytes);
        auto* const bytes = static_cast<bytea*>(palloc(VARHDRSZ + length));
        SET_VARSIZE(bytes, VARHDRSZ + length);
        memcpy(VARDATA(bytes), left.data(), length);
        left.remove_prefix(length);
        ExecClearTuple(sorter.row);
        sorter.row->tts_values[kSortPlace - 1] = Int64GetDatum(static_cast<int64>(change.command));
        sorter.row->tts_values[kSortIndex - 1] = Int64GetDatum(static_cast<int64>(sorter.changes));
        sorter.row->tts_values[kSortFragment - 1] = Int64GetDatum(fragment);
        sorter.row->tts_values[kSortBytes - 1] = PointerGetDatum(bytes);
        memset(sorter.row->tts_isnull, 0, sizeof(bool) * kSortColumns);
        ExecStoreVirtualTuple(sorter.row);
        tuplesort_puttupleslot(sorter.sort, sorter.row);
        pfree(bytes);
    }
    sorter.changes += 1;
}

// Takes bytes in; what is a whole change goes to the sort. A large change is looked through again only when twice as
// much of it is there.
void take(Sorter& sorter, wire::Bytes bytes) {
    bytes = bytes.substr(0, Min(bytes.size(), sorter.left));
    sorter.left -= bytes.size();
    sorter.waiting.write(bytes.data(), bytes.size());
    if (sorter.waiting.size() < sorter.try_again_at && sorter.left > 0) return;
    const wire::Bytes waiting = sorter.waiting.bytes();
    wire::Reader reader(waiting);
    size_t used = 0;
    wire::Change change;
    while (used < waiting.size() && wire::read_change(reader, change)) {
        put_change(sorter, change);
        used = reader.offset();
    }
    const size_t rest = waiting.size() - used;
    memmove(const_cast<char*>(waiting.data()), waiting.data() + used, rest);
    sorter.waiting.cut(rest);
    sorter.try_again_at = used == 0 ? rest * 2 : 0;
}

bool take_part(void* context, int32, Datum payload) {
    auto* const bytes = DatumGetPointer(payload);
    take(*static_cast<Sorter*>(context), wire::Bytes(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)));
    return true;
}

void collect(Sorter& sorter, OpenSegments& segments, int slot, ItemPointerData place) {
    sorter.head.start(CurrentMemoryContext);
    sorter.waiting.start(CurrentMemoryContext);
    Datum payload = 0;
    if (!read_closing(segments, slot, sorter.xid, place, payload)) report_damage(sorter);
    sorter.head.write(VARDATA_ANY(DatumGetPointer(payload)), VARSIZE_ANY_EXHDR(DatumGetPointer(payload)));
    sorter.closing = parse_closing(sorter.xid, sorter.head.bytes());
    sorter.left = sorter.closing.bytes - sorter.closing.tail.size();
    const int64 parts = read_chunks(segments, slot, sorter.xid, 1, PG_INT32_MAX, take_part, &sorter);
    if (static_cast<uint64>(parts) != sorter.closing.parts || sorter.left != 0) report_damage(sorter);
    sorter.left = sorter.closing.tail.size();
    if (sorter.left > 0) take(sorter, sorter.closing.tail);
    if (sorter.waiting.size() > 0 || sorter.changes != sorter.closing.changes) report_damage(sorter);
}

void put_piece(const RowOutput& rows, int64 piece, wire::Bytes bytes) {
    auto* const payload = static_cast<bytea*>(palloc(VARHDRSZ + bytes.size()));
    SET_VARSIZE(payload, VARHDRSZ + bytes.size());
    memcpy(VARDATA(payload), bytes.data(), bytes.size());
    const Datum values[] = {Int64GetDatum(piece), PointerGetDatum(payload)};
    const bool nulls[] = {false, false};
    put_row(rows, values, nulls);
    pfree(payload);
}

void put_pieces(const RowOutput& rows, Sorter& sorter) {
    TupleTableSlot* const row = MakeSingleTupleTableSlot(sorter.columns, &TTSOpsMinimalTuple);
    ByteBuffer piece{};
    piece.start(CurrentMemoryContext);
    int64 pieces = 0;
    tuplesort_performsort(sorter.sort);
    while (tuplesort_gettupleslot(sorter.sort, true, false, row, nullptr)) {
        CHECK_FOR_INTERRUPTS();
        bool is_null = false;
        auto* const fragment = DatumGetPointer(slot_getattr(row, kSortBytes, &is_null));
        wire::Bytes bytes(VARDATA_ANY(fragment), VARSIZE_ANY_EXHDR(fragment));
        while (!bytes.empty()) {
            const size_t length = Min(bytes.size(), kPieceBytes - piece.size());
            piece.write(bytes.data(), length);
            bytes.remove_prefix(length);
            if (piece.size() < kPieceBytes) continue;
            put_piece(rows, pieces++, piece.bytes());
            piece.cut(0);
        }
    }
    if (piece.size() > 0) put_piece(rows, pieces, piece.bytes());
    ExecDropSingleTupleTableSlot(row);
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_read_in_order);

// paysync.read_in_order(number bigint) returns setof (piece bigint, payload bytea): pieces from 0, of at most 64 KiB.
// Errors PS005 where the transaction is no longer kept, PS010 where it is damaged.
PGDLLEXPORT Datum paysync_read_in_order(PG_FUNCTION_ARGS) {
    using namespace paysync;
    const int64 number = PG_GETARG_INT64(0);
    const RowOutput rows = begin_rows(fcinfo);
    auto* const tick = static_cast<Tick*>(palloc(sizeof(Tick)));
    if (!find_tick(number, *tick))
        ereport(ERROR, (errcode(MAKE_SQLSTATE('P', 'S', '0', '0', '5')),
                        errmsg("transaction %lld is no longer kept", static_cast<long long>(number)),
                        errhint("This subscriber needs a new copy.")));
    Sorter sorter{};
    const auto index = number - tick->first_number;
    sorter.xid = tick->xids[index];
    OpenSegments segments = open_segments();
    begin_sort(sorter);
    collect(sorter, segments, tick->slots[index], tick->places[index]);
    close_segments(segments);
    put_pieces(rows, sorter);
    tuplesort_end(sorter.sort);
    return Datum{0};
}
}

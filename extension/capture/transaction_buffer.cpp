#include "capture/transaction_buffer.hpp"

#include "capture/call_out.hpp"
#include "capture/closing_record.hpp"
#include "capture/gap.hpp"
#include "capture/relation_cache.hpp"
#include "capture/wake.hpp"
#include "outbox/rows.hpp"

namespace paysync {
namespace {

// What one nesting level holds. Levels stand on the stack in rising order; those that captured nothing are not there.
struct Level {
    LevelTotals totals;
    bool has_part;  // `part` is in use
    bool sealed;    // something recorded later is already in the outbox: nothing may be added to `part`
    int32 number;   // the part's number
    uint32 used;    // bytes in it
    bytea* part;    // kMaxPayload bytes of room
};

// All of the running transaction. Reset when it ends.
struct Transaction {
    MemoryContext memory;  // null: nothing captured yet
    Level* levels;
    int depth;
    int capacity;
    int slot;  // segment it is written to; -1: not chosen yet
    int32 next_part;
    CommandId highest_place;
    bool reorder;    // changes were recorded in another order than rows changed
    bool discarded;  // there is no subscriber, or capture is suspended: nothing is kept
    bool closed;     // the closing record is written
    Reader reader;   // whom to wake
};

Transaction now;
bool kept_always = false;  // keep_always() was called in the running transaction
// Kept from transaction to transaction: most need no more.
bytea* first_part = nullptr;
bytea* closing_chunk = nullptr;

bytea* make_part(MemoryContext memory) {
    return static_cast<bytea*>(MemoryContextAlloc(memory, VARHDRSZ + kMaxPayload));
}

bytea* new_part() { return make_part(now.memory); }

void begin() {
    now = Transaction{};
    now.slot = -1;
    now.next_part = 1;
    // Looked up before anything is recorded: the commit callback may not look anything up.
    outbox_state();
    if (first_part == nullptr) first_part = make_part(TopMemoryContext);
    if (closing_chunk == nullptr) closing_chunk = make_part(TopMemoryContext);
    // Last: that it is there says that all else is.
    now.memory = AllocSetContextCreate(TopTransactionContext, "paysync transaction", ALLOCSET_DEFAULT_SIZES);
}

[[noreturn]] void refuse() {
    ereport(ERROR,
            (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
             errmsg("the outbox is full: changes of registered tables are refused"),
             errdetail("It reached paysync.outbox_limit, and paysync.outbox_full is \"refuse\"."),
             errhint("See paysync.status for what keeps it from being emptied; raise the limit, or drop or cut off "
                     "the subscribers that are behind.")));
    pg_unreachable();
}

// Whether what is captured now goes into the outbox. A transaction that has written something stays with that.
bool wants_keeping() {
    const OutboxState& state = outbox_state();
    if (!state.has_subscribers) return false;
    if (kept_always) return true;
    if (state.mode == CaptureMode::kRefusing) refuse();
    return state.mode == CaptureMode::kOn || now.slot >= 0;
}

// Decides, once a transaction, whether it is kept. Without a subscriber, or while capture is suspended, it is not; a
// lock tells create_subscriber(), and who resumes capture, so until the transaction ends, since what was thrown away
// cannot be given to anybody afterwards. If the lock is not to be had, one of these is just at it: then it is kept.
bool is_kept() {
    if (now.discarded) return false;
    if (wants_keeping()) return true;
    const ResourceOwner owner = CurrentResourceOwner;
    CurrentResourceOwner = TopTransactionResourceOwner;  // a rolled-back savepoint must not give it up
    const bool locked = ConditionalLockRelationOid(catalog().subscriber, RowExclusiveLock);
    CurrentResourceOwner = owner;
    if (!locked || wants_keeping()) return true;
    now.discarded = true;
    return false;
}

// The table whose lock keeps a segment from being emptied. A transaction that writes chunks takes it first, so that its
// COMMIT meets nobody who has it.
Oid table_to_hold(int slot) {
    const Oid closing = catalog().closing[slot];
    return OidIsValid(closing) ? closing : catalog().chunk[slot].table;
}

// The segment that the session knows as the current one. COMMIT itself takes in no news: if that one is just being
// emptied, which is not waited for, another has become current long ago.
int segment_to_write() {
    const int slot = outbox_state().slot;
    if (ConditionalLockRelationOid(table_to_hold(slot), RowExclusiveLock)) return slot;
    AcceptInvalidationMessages();
    LockRelationOid(table_to_hold(outbox_state().slot), RowExclusiveLock);
    return outbox_state().slot;
}

// Chosen once: all of a transaction stays in one segment, and its lock outlives the savepoint that it was taken in.
int segment() {
    if (now.slot >= 0) return now.slot;
    const ResourceOwner owner = CurrentResourceOwner;
    CurrentResourceOwner = TopTransactionResourceOwner;
    now.slot = segment_to_write();
    CurrentResourceOwner = owner;
    return now.slot;
}

void write_chunk(int32 part, bytea* payload) {
    insert_chunk(segment(), GetTopFullTransactionId(), part, InvalidXLogRecPtr, PointerGetDatum(payload));
}

// Writes the level's part as a chunk of its own. The level must be the current one.
void write_part(Level& level) {
    CHECK_FOR_INTERRUPTS();  // a large value is many parts
    SET_VARSIZE(level.part, VARHDRSZ + level.used);
    write_chunk(level.number, level.part);
    level.totals.rows_written += 1;
    level.has_part = false;
}

void open_part(Level& level) {
    if (level.part == nullptr) level.part = now.depth == 1 ? first_part : new_part();
    level.number = now.next_part++;
    level.used = 0;
    level.has_part = true;
    level.sealed = false;
}

Level& current_level() {
    const int nesting = GetCurrentTransactionNestLevel();
    if (now.depth > 0 && now.levels[now.depth - 1].totals.level == nesting) return now.levels[now.depth - 1];
    if (now.depth == now.capacity) {
        const int capacity = now.capacity == 0 ? 4 : now.capacity * 2;
        auto* const levels =
            static_cast<Level*>(MemoryContextAllocZero(now.memory, sizeof(Level) * static_cast<size_t>(capacity)));
        if (now.depth > 0) memcpy(levels, now.levels, sizeof(Level) * static_cast<size_t>(now.depth));
        now.levels = levels;
        now.capacity = capacity;
    }
    // The room that an ended level had is used again: a loop of a million savepoints takes no more than one.
    Level& added = now.levels[now.depth++];
    const Level old = added;
    added = Level{};
    added.part = old.part;
    added.totals.shapes = old.totals.shapes;
    added.totals.shape_capacity = old.totals.shape_capacity;
    added.totals.level = nesting;
    return added;
}

void append(Level& level, wire::Bytes bytes) {
    level.totals.bytes += bytes.size();
    if (level.has_part && level.sealed) write_part(level);
    while (!bytes.empty()) {
        if (level.has_part && level.used == kMaxPayload) write_part(level);
        if (!level.has_part) open_part(level);
        const size_t length = Min(kMaxPayload - level.used, bytes.size());
        memcpy(VARDATA(level.part) + level.used, bytes.data(), length);
        level.used += static_cast<uint32_t>(length);
        bytes.remove_prefix(length);
    }
}

void note_place(CommandId place) {
    if (place < now.highest_place) now.reorder = true;
    now.highest_place = Max(now.highest_place, place);
}

// Can the child's part simply follow in the parent's? Only if nothing stands between the two in the outbox.
bool can_join(const Level& parent, const Level& child) {
    return parent.has_part && !parent.sealed && child.totals.rows_written == 0 &&
           parent.used + child.used <= kMaxPayload;
}

Level* level_at(int nesting) {
    if (now.memory == nullptr || now.depth == 0 || now.levels[now.depth - 1].totals.level != nesting) return nullptr;
    return &now.levels[now.depth - 1];
}

// The level below, if it is the direct parent.
Level* parent_of(const Level& child) {
    if (now.depth < 2) return nullptr;
    Level& below = now.levels[now.depth - 2];
    return below.totals.level == child.totals.level - 1 ? &below : nullptr;
}

// The last moment at which a savepoint's level may write and fail: all that merging needs is done here.
void before_release() {
    Level* child = level_at(GetCurrentTransactionNestLevel());
    if (child == nullptr) return;
    Level* parent = parent_of(*child);
    if (parent == nullptr) return;
    reserve_totals(parent->totals, child->totals, now.memory);
    if (!child->has_part || !parent->has_part || can_join(*parent, *child)) return;
    // Not in the savepoint's own memory: once anything was allocated there, the server keeps it until the transaction
    // ends.
    const MemoryContext before = MemoryContextSwitchTo(now.memory);
    if (is_kept()) write_part(*child);
    MemoryContextSwitchTo(before);
}

// A savepoint is released: its level becomes its parent's. Nothing here can fail.
void release() {
    Level* child = level_at(GetCurrentTransactionNestLevel());
    if (child == nullptr) return;
    Level* parent = parent_of(*child);
    if (parent == nullptr) {
        child->totals.level -= 1;
        return;
    }
    if (now.discarded) {
        now.depth -= 1;
        return;
    }
    const bool wrote = child->totals.rows_written > 0;
    if (child->has_part && parent->has_part) {  // can_join(), or it would have been written
        memcpy(VARDATA(parent->part) + parent->used, VARDATA(child->part), child->used);
        parent->used += child->used;
    } else if (child->has_part) {
        bytea* const spare = parent->part;
        parent->part = child->part;
        parent->number = child->number;
        parent->used = child->used;
        parent->sealed = child->sealed;
        parent->has_part = true;
        child->part = spare;
    } else if (wrote && parent->has_part) {
        parent->sealed = true;
    }
    merge_totals(parent->totals, child->totals);
    now.depth -= 1;
}

void roll_back() {
    const int nesting = GetCurrentTransactionNestLevel();
    while (now.memory != nullptr && now.depth > 0 && now.levels[now.depth - 1].totals.level >= nesting) now.depth -= 1;
}

// Writes `bytes` as chunks behind all parts so far; how many.
int32 write_chunks(wire::Bytes bytes) {
    int32 written = 0;
    while (!bytes.empty()) {
        const size_t length = Min(kMaxPayload, bytes.size());
        bytea* const chunk = new_part();
        memcpy(VARDATA(chunk), bytes.data(), length);
        SET_VARSIZE(chunk, VARHDRSZ + length);
        write_chunk(now.next_part++, chunk);
        bytes.remove_prefix(length);
        written += 1;
    }
    return written;
}

// Writes the closing record with the last part behind it, if that fits, else behind the last part.
void write_closing_record(Level& level) {
    // Read here, after all that this transaction will ever see was seen and before its commit record: greater than the
    // key of every transaction that it saw (docs/outbox.md §2).
    const XLogRecPtr order_key = GetXLogInsertRecPtr();
    if (level.has_part && level.sealed) write_part(level);
    ByteBuffer manifest{};
    manifest.start(now.memory);
    pack_manifest(manifest, level.totals);
    int32 manifest_parts = 0;
    if (manifest.size() > kMaxInlineManifest) {
        if (level.has_part) write_part(level);
        manifest_parts = write_chunks(manifest.bytes());
        level.totals.rows_written += manifest_parts;
    }
    ByteBuffer record{};
    record.start(now.memory);
    pack_closing(record, level.totals, now.reorder, manifest.bytes(), manifest_parts);
    if (level.has_part && record.size() + level.used > kMaxPayload) {
        write_part(level);
        record.start(now.memory);
        pack_closing(record, level.totals, now.reorder, manifest.bytes(), manifest_parts);
    }
    if (level.has_part) record.write(VARDATA(level.part), level.used);
    memcpy(VARDATA(closing_chunk), record.bytes().data(), record.size());
    SET_VARSIZE(closing_chunk, VARHDRSZ + record.size());
    insert_closing(segment(), GetTopFullTransactionId(), order_key, PointerGetDatum(closing_chunk));
}

// At pre-commit: what waits in memory goes into the outbox.
void close() {
    if (now.memory == nullptr || now.closed || now.depth == 0 || !is_kept()) return;
    const MemoryContext before = MemoryContextSwitchTo(now.memory);
    write_closing_record(now.levels[0]);
    MemoryContextSwitchTo(before);
    // Looked up now: the commit callback may look nothing up, an error there is a PANIC.
    now.reader = Reader{outbox_state().reader_procno, outbox_state().reader_pid};
    now.closed = true;
}

void end() {
    now = Transaction{};
    kept_always = false;
    forget_gaps();
    forget_call_out(0);
}

void on_transaction(XactEvent event, void*) {
    switch (event) {
        case XACT_EVENT_PRE_COMMIT:
        case XACT_EVENT_PRE_PREPARE:
            close();
            break;
        case XACT_EVENT_COMMIT:
            if (now.closed) wake_reader(now.reader);
            keep_new_shapes();
            end();
            break;
        case XACT_EVENT_PREPARE:  // its shapes are not committed either
        case XACT_EVENT_ABORT:
            forget_new_shapes();
            end();
            break;
        default:
            break;
    }
}

void on_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
    if (event == SUBXACT_EVENT_PRE_COMMIT_SUB) before_release();
    if (event == SUBXACT_EVENT_COMMIT_SUB) release();
    if (event == SUBXACT_EVENT_ABORT_SUB) {
        roll_back();
        forget_new_shapes();
        forget_gaps();
        forget_call_out(GetCurrentTransactionNestLevel());
    }
}

}  // namespace

CommandId highest_place() { return now.highest_place; }

void keep_always() { kept_always = true; }

bool discards() { return now.discarded; }

bool writes_segment(int slot) { return now.memory != nullptr && now.slot == slot; }

void buffer_change(wire::Bytes change, CommandId place, int64 shape, const char* channel) {
    if (now.closed)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("row of a registered table was changed after its transaction was closed"),
                 errdetail("The closing record of this transaction is already in the outbox."),
                 errhint("Another extension changes rows in its pre-commit callback; that cannot be captured.")));
    if (now.memory == nullptr) begin();
    if (now.discarded) return;
    Level& level = current_level();
    // A transaction that outgrows its first part is where keeping begins to cost disk.
    if ((level.has_part ? level.used : 0) + change.size() > kMaxPayload && !is_kept()) return;
    note_place(place);
    append(level, change);
    ShapeTotal& total = total_of(level.totals, shape, channel, now.memory);
    total.changes += 1;
    total.digest += wire::digest_of(change);
}

void name_shape(int64 shape, const char* channel) {
    if (now.memory == nullptr || now.discarded) return;
    (void)total_of(current_level().totals, shape, channel, now.memory);
}

void watch_transactions() {
    RegisterXactCallback(on_transaction, nullptr);
    RegisterSubXactCallback(on_subtransaction, nullptr);
}

}  // namespace paysync

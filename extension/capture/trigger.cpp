// The triggers on registered tables: a row, or a truncate, becomes a change in the transaction's buffer.
#include "capture/call_out.hpp"
#include "capture/command_order.hpp"
#include "capture/gap.hpp"
#include "capture/relation_cache.hpp"
#include "capture/row_encoder.hpp"
#include "capture/row_filter.hpp"
#include "capture/transaction_buffer.hpp"
#include "capture/truncate.hpp"
#include "settings.hpp"

namespace paysync {
namespace {

// What one change may keep of the scratch buffer for the next one.
constexpr size_t kKeepScratch = 1024 * 1024;

ByteBuffer scratch{};
MemoryContext row_memory = nullptr;  // reset after each change

void check_called_right(const TriggerData& trigger) {
    const bool row = TRIGGER_FIRED_FOR_ROW(trigger.tg_event);
    const bool truncate = TRIGGER_FIRED_BY_TRUNCATE(trigger.tg_event);
    if (!TRIGGER_FIRED_AFTER(trigger.tg_event) || row == truncate)
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("paysync.capture() must be fired after, for each row, or for a truncate"),
                        errhint("Let paysync.register() make the triggers.")));
}

[[noreturn]] void refuse_change_of_insert_only(Relation relation) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("table \"%s\" is registered as insert-only", RelationGetRelationName(relation)),
                    errdetail("Its rows cannot be updated or deleted, since no key says which row is meant."),
                    errhint("Add a primary key and register it again without insert_only.")));
    pg_unreachable();
}

[[noreturn]] void refuse_without_key(Relation relation, const CapturedTable& table) {
    if (table.insert_only) refuse_change_of_insert_only(relation);
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg(table.key_is_named ? "registered table \"%s\" has lost its key"
                                              : "registered table \"%s\" has lost its primary key",
                           RelationGetRelationName(relation)),
                    errhint("Add one, or take the table out with paysync.unregister().")));
    pg_unreachable();
}

struct RowEvent {
    wire::Operation operation;
    CommandId command;
    HeapTuple new_tuple;
    HeapTuple old_tuple;
};

// The command id is that of the statement that changed the row, not of the one that runs now.
RowEvent row_event(const TriggerData& trigger) {
    if (TRIGGER_FIRED_BY_INSERT(trigger.tg_event))
        return RowEvent{wire::Operation::kInsert, HeapTupleHeaderGetCmin(trigger.tg_trigtuple->t_data),
                        trigger.tg_trigtuple, nullptr};
    if (TRIGGER_FIRED_BY_UPDATE(trigger.tg_event))
        return RowEvent{wire::Operation::kUpdate, HeapTupleHeaderGetCmin(trigger.tg_newtuple->t_data),
                        trigger.tg_newtuple, trigger.tg_trigtuple};
    return RowEvent{wire::Operation::kDelete, HeapTupleHeaderGetCmax(trigger.tg_trigtuple->t_data), nullptr,
                    trigger.tg_trigtuple};
}

// With a filter, an update by which a row enters is an insert to subscribers, one by which it leaves a delete. False:
// they do not see it.
bool pass_filter(Relation relation, const CapturedTable& table, RowEvent& event) {
    const bool was = event.old_tuple != nullptr && passes_filter(table, relation, event.old_tuple);
    const bool is = event.new_tuple != nullptr && passes_filter(table, relation, event.new_tuple);
    if (event.operation == wire::Operation::kUpdate && was != is) {
        event.operation = is ? wire::Operation::kInsert : wire::Operation::kDelete;
        (is ? event.old_tuple : event.new_tuple) = nullptr;
    }
    return was || is;
}

bool is_seen(Relation relation, const CapturedTable& table, RowEvent& event) {
    if (table.filter != nullptr && !pass_filter(relation, table, event)) return false;
    return !table.skip_unchanged || event.operation != wire::Operation::kUpdate ||
           !is_unchanged(relation, table, event.new_tuple, event.old_tuple);
}

void capture_row(FunctionCallInfo fcinfo, const TriggerData& trigger, const CapturedTable& table) {
    RowEvent event = row_event(trigger);
    if (event.operation != wire::Operation::kInsert && table.keys == 0 && table.needs_key)
        refuse_without_key(trigger.tg_relation, table);
    const CommandId place = place_of_row(fcinfo, event.command, highest_place(), event.new_tuple);
    if (table.calls_out) begin_call_out();
    const bool seen = !table.selects_rows || is_seen(trigger.tg_relation, table, event);
    if (seen)
        encode_row_change(scratch, trigger.tg_relation, table, event.operation, place, event.new_tuple,
                          event.old_tuple);
    if (table.calls_out) end_call_out();
    if (seen) buffer_change(scratch.bytes(), place, table.shape, table.channel);
}

// What is written with paysync.enabled = off is told once a transaction, at the place of the first row.
void capture_nothing(FunctionCallInfo fcinfo, const TriggerData& trigger, CapturedTable& table) {
    if (!is_first_uncaptured(table)) return;
    CommandId place = 0;
    if (TRIGGER_FIRED_FOR_ROW(trigger.tg_event)) {
        const RowEvent event = row_event(trigger);
        place = place_of_row(fcinfo, event.command, highest_place(), event.new_tuple);
    } else {
        place = place_of_truncate();
    }
    buffer_gap(table.shape, table.channel, place, "written with paysync.enabled = off");
}

void on_end(XactEvent event, void*) {
    if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) return;
    // What a row left that could not be encoded may be large.
    if (event == XACT_EVENT_ABORT) MemoryContextReset(row_memory);
    scratch.trim(kKeepScratch);
}

// Once a session.
void prepare_memory() {
    row_memory = AllocSetContextCreate(TopMemoryContext, "paysync row", ALLOCSET_DEFAULT_SIZES);
    RegisterXactCallback(on_end, nullptr);
}

void capture(FunctionCallInfo fcinfo) {
    const TriggerData& trigger = *reinterpret_cast<TriggerData*>(fcinfo->context);
    check_called_right(trigger);
    refuse_while_called_out();
    // A crash empties an unlogged table without a word: nothing of it is captured.
    if (trigger.tg_relation->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT) return;
    CapturedTable& table = captured_table(trigger.tg_relation);
    if (row_memory == nullptr) prepare_memory();
    MemoryContextReset(row_memory);  // also what an error left
    scratch.start(TopMemoryContext);
    const MemoryContext before = MemoryContextSwitchTo(row_memory);
    if (!capture_is_enabled()) {
        capture_nothing(fcinfo, trigger, table);
    } else if (TRIGGER_FIRED_BY_TRUNCATE(trigger.tg_event)) {
        capture_truncate(trigger.tg_relation, table);
    } else {
        capture_row(fcinfo, trigger, table);
    }
    MemoryContextSwitchTo(before);
    scratch.trim(kKeepScratch);
    MemoryContextReset(row_memory);
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_capture_change);
PG_FUNCTION_INFO_V1(paysync_capture_row);
PG_FUNCTION_INFO_V1(paysync_capture);

// Trigger function of registered tables.
PGDLLEXPORT Datum paysync_capture_change(PG_FUNCTION_ARGS) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("paysync.capture() is a trigger function")));
    paysync::capture(fcinfo);
    return PointerGetDatum(nullptr);
}

// The same under the names that the SQL of 0.2 and 0.1 knows. What is newer wants another one, which a session that
// still holds an older library cannot find.
PGDLLEXPORT Datum paysync_capture_row(PG_FUNCTION_ARGS) { return paysync_capture_change(fcinfo); }
PGDLLEXPORT Datum paysync_capture(PG_FUNCTION_ARGS) { return paysync_capture_change(fcinfo); }
}

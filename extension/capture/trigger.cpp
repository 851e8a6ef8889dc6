// The triggers on registered tables: a row, or a truncate, becomes a change in the transaction's buffer.
#include "capture/command_order.hpp"
#include "capture/relation_cache.hpp"
#include "capture/row_encoder.hpp"
#include "capture/transaction_buffer.hpp"

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

void capture_row(FunctionCallInfo fcinfo, const TriggerData& trigger, const CapturedTable& table) {
    const RowEvent event = row_event(trigger);
    if (event.operation != wire::Operation::kInsert && table.keys == 0) {
        if (table.insert_only) refuse_change_of_insert_only(trigger.tg_relation);
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("registered table \"%s\" has lost its primary key",
                               RelationGetRelationName(trigger.tg_relation)),
                        errhint("Add one, or take the table out with paysync.unregister().")));
    }
    const CommandId place = place_of_row(fcinfo, event.command, highest_place(), event.new_tuple);
    encode_row_change(scratch, trigger.tg_relation, table, event.operation, place, event.new_tuple, event.old_tuple);
    buffer_change(scratch.bytes(), place, table.shape, table.channel);
}

void capture_truncate(const CapturedTable& table) {
    const CommandId place = place_of_truncate();
    encode_truncate(scratch, table, place);
    buffer_change(scratch.bytes(), place, table.shape, table.channel);
}

void capture(FunctionCallInfo fcinfo) {
    const TriggerData& trigger = *reinterpret_cast<TriggerData*>(fcinfo->context);
    check_called_right(trigger);
    const CapturedTable& table = captured_table(trigger.tg_relation);
    if (row_memory == nullptr)
        row_memory = AllocSetContextCreate(TopMemoryContext, "paysync row", ALLOCSET_DEFAULT_SIZES);
    MemoryContextReset(row_memory);  // also what an error left
    scratch.start(TopMemoryContext);
    const MemoryContext before = MemoryContextSwitchTo(row_memory);
    if (TRIGGER_FIRED_BY_TRUNCATE(trigger.tg_event)) {
        capture_truncate(table);
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

PG_FUNCTION_INFO_V1(paysync_capture);

// Trigger function of registered tables.
PGDLLEXPORT Datum paysync_capture(PG_FUNCTION_ARGS) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("paysync.capture() is a trigger function")));
    paysync::capture(fcinfo);
    return PointerGetDatum(nullptr);
}
}

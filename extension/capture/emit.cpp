// paysync.emit(): an explicit event, which commits or vanishes with the transaction that emits it.
#include "capture/transaction_buffer.hpp"
#include "wire/change.hpp"

namespace paysync {
namespace {

constexpr int kMaxChannelBytes = 63;
constexpr int kMaxTypeBytes = 255;

wire::Bytes text_argument(FunctionCallInfo fcinfo, int argument) {
    return to_utf8(text_to_cstring(DatumGetTextPP(fcinfo->args[argument].value)));
}

// jsonb as PostgreSQL prints it.
wire::Bytes jsonb_argument(FunctionCallInfo fcinfo, int argument) {
    Jsonb* const json = DatumGetJsonbP(fcinfo->args[argument].value);
    return to_utf8(JsonbToCString(nullptr, &json->root, VARSIZE(json)));
}

void check_arguments(FunctionCallInfo fcinfo) {
    static const char* const kNames[] = {"channel", "type", "payload", "key", "headers"};
    for (int i = 0; i < 5; ++i)
        if (i != 3 && fcinfo->args[i].isnull)
            ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("argument \"%s\" of paysync.emit() is null", kNames[i])));
    const int channel = static_cast<int>(VARSIZE_ANY_EXHDR(DatumGetTextPP(fcinfo->args[0].value)));
    const int type = static_cast<int>(VARSIZE_ANY_EXHDR(DatumGetTextPP(fcinfo->args[1].value)));
    if (channel == 0 || channel > kMaxChannelBytes)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("channel name must be 1 to %d bytes long", kMaxChannelBytes)));
    if (type == 0 || type > kMaxTypeBytes)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("event type must be 1 to %d bytes long", kMaxTypeBytes)));
}

void emit(FunctionCallInfo fcinfo) {
    check_arguments(fcinfo);
    // Rows written from C pass the executor's own checks by.
    PreventCommandIfReadOnly("paysync.emit()");
    PreventCommandIfParallelMode("paysync.emit()");
    PreventCommandDuringRecovery("paysync.emit()");
    const CommandId command = GetCurrentCommandId(true);
    ByteBuffer event{};
    event.start(CurrentMemoryContext);
    Packer packer(event);
    packer.pack_array(7);
    packer.pack_uint64(static_cast<uint64>(wire::Operation::kEvent));
    pack_text(packer, text_argument(fcinfo, 0));
    packer.pack_uint64(command);
    pack_text(packer, text_argument(fcinfo, 1));
    if (fcinfo->args[3].isnull) {
        packer.pack_nil();
    } else {
        pack_text(packer, text_argument(fcinfo, 3));
    }
    pack_text(packer, jsonb_argument(fcinfo, 4));
    pack_text(packer, jsonb_argument(fcinfo, 2));
    buffer_change(event.bytes(), command, 0, intern_channel(text_to_cstring(DatumGetTextPP(fcinfo->args[0].value))));
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_emit);

// paysync.emit(channel text, type text, payload jsonb, key text, headers jsonb) returns void.
PGDLLEXPORT Datum paysync_emit(PG_FUNCTION_ARGS) {
    paysync::emit(fcinfo);
    PG_RETURN_VOID();
}

}

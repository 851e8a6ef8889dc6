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

// The same rule as paysync.check_channel() in SQL.
void check_channel(const text* channel) {
    const int length = static_cast<int>(VARSIZE_ANY_EXHDR(channel));
    bool valid = length > 0 && length <= kMaxChannelBytes;
    for (int i = 0; valid && i < length; ++i) {
        const auto byte = static_cast<unsigned char>(VARDATA_ANY(channel)[i]);
        valid = byte >= 0x20 && byte != 0x7f;
    }
    if (!valid)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid channel name"),
                 errhint("A channel's name is 1 to %d bytes long and has no control characters.", kMaxChannelBytes)));
}

void check_arguments(FunctionCallInfo fcinfo) {
    static const char* const kNames[] = {"channel", "type", "payload", "key", "headers"};
    for (int i = 0; i < 5; ++i)
        if (i != 3 && fcinfo->args[i].isnull)
            ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                            errmsg("argument \"%s\" of paysync.emit() is null", kNames[i])));
    check_channel(DatumGetTextPP(fcinfo->args[0].value));
    const int type = static_cast<int>(VARSIZE_ANY_EXHDR(DatumGetTextPP(fcinfo->args[1].value)));
    if (type == 0 || type > kMaxTypeBytes)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("event type must be 1 to %d bytes long", kMaxTypeBytes)));
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

PG_FUNCTION_INFO_V1(paysync_emit_event);
PG_FUNCTION_INFO_V1(paysync_emit);

// paysync.emit(channel text, type text, payload jsonb, key text, headers jsonb) returns void.
PGDLLEXPORT Datum paysync_emit_event(PG_FUNCTION_ARGS) {
    paysync::emit(fcinfo);
    PG_RETURN_VOID();
}

// The same for the SQL of versions before 0.3.
PGDLLEXPORT Datum paysync_emit(PG_FUNCTION_ARGS) { return paysync_emit_event(fcinfo); }
}

#include "capture/value_encoder.hpp"

#include "capture/jsonb_text.hpp"
#include "capture/mask.hpp"

namespace paysync {
namespace {

// msgpack's packer would make an integer of a float that has none behind the point, and lose -0.
template <typename Float, typename Bits>
void pack_float(Packer& packer, char head, Float value) {
    static_assert(sizeof(Float) == sizeof(Bits), "one for one");
    Bits bits = 0;
    memcpy(&bits, &value, sizeof bits);
    char bytes[1 + sizeof bits];
    bytes[0] = head;
    for (size_t i = 0; i < sizeof bits; ++i) bytes[1 + i] = static_cast<char>(bits >> (8 * (sizeof bits - 1 - i)));
    pack_raw(packer, wire::Bytes(bytes, sizeof bytes));
}

wire::Bytes varlena_bytes(Datum value) {
    struct varlena* const bytes = pg_detoast_datum_packed(reinterpret_cast<struct varlena*>(DatumGetPointer(value)));
    return wire::Bytes(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

}  // namespace

wire::Bytes text_of_value(ValueCoding& coding, Datum value) {
    if (coding.encoder == Encoder::kVarlenaText) {
        const wire::Bytes text = varlena_bytes(value);
        return to_utf8(text.data(), text.size());
    }
    if (coding.encoder == Encoder::kJsonb) {
        ByteBuffer text{};
        text.start(CurrentMemoryContext);
        write_jsonb(text, DatumGetJsonbP(value));
        return to_utf8(text.bytes().data(), text.size());
    }
    return to_utf8(OutputFunctionCall(&coding.output, value));
}

void pack_value(Packer& packer, ValueCoding& coding, Datum value) {
    switch (coding.encoder) {
        case Encoder::kBool:
            if (DatumGetBool(value)) {
                packer.pack_true();
            } else {
                packer.pack_false();
            }
            break;
        case Encoder::kInt2:
            packer.pack_int64(DatumGetInt16(value));
            break;
        case Encoder::kInt4:
            packer.pack_int64(DatumGetInt32(value));
            break;
        case Encoder::kInt8:
            packer.pack_int64(DatumGetInt64(value));
            break;
        case Encoder::kOid:
            packer.pack_int64(DatumGetObjectId(value));
            break;
        case Encoder::kUuid:
            pack_bytes(packer, wire::Bytes(reinterpret_cast<const char*>(DatumGetUUIDP(value)->data), UUID_LEN));
            break;
        case Encoder::kFloat4:
            pack_float<float4, uint32>(packer, '\xca', DatumGetFloat4(value));
            break;
        case Encoder::kFloat8:
            pack_float<float8, uint64>(packer, '\xcb', DatumGetFloat8(value));
            break;
        case Encoder::kBytes:
            pack_bytes(packer, varlena_bytes(value));
            break;
        case Encoder::kVarlenaText:
        case Encoder::kJsonb:
        case Encoder::kOutput:
            pack_text(packer, text_of_value(coding, value));
            break;
        case Encoder::kArray:
            pack_array_value(packer, coding, value);
            break;
        case Encoder::kMasked:
            pack_masked(packer, *coding.mask, value);
            break;
    }
}

}  // namespace paysync

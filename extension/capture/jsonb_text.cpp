#include "capture/jsonb_text.hpp"

#include "wire/json.hpp"

namespace paysync {
namespace {

void write_scalar(ByteBuffer& out, const JsonbValue& value) {
    switch (value.type) {
        case jbvNull:
            out.append("null", 4);
            break;
        case jbvBool:
            value.val.boolean ? out.append("true", 4) : out.append("false", 5);
            break;
        case jbvString:
            wire::put_json_string(out, wire::Bytes(value.val.string.val, static_cast<size_t>(value.val.string.len)));
            break;
        case jbvNumeric: {
            const char* const text =
                DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
            out.append(text, strlen(text));
            break;
        }
        default:
            ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("unknown kind of jsonb value: %d", value.type)));
    }
}

}  // namespace

void write_jsonb(ByteBuffer& out, Jsonb* jsonb) {
    const bool is_scalar = JB_ROOT_IS_SCALAR(jsonb);  // it is kept as an array, whose brackets are not shown
    JsonbIterator* iterator = JsonbIteratorInit(&jsonb->root);
    JsonbValue value;
    bool is_first = true;  // nothing stands before in the array or object, or a key does
    const auto separate = [&out, &is_first](bool is_next_first) {
        if (!is_first) out.append(", ", 2);
        is_first = is_next_first;
    };
    const auto close = [&out, &is_first](const char* bracket) {
        out.append(bracket, 1);
        is_first = false;
    };
    for (JsonbIteratorToken token = JsonbIteratorNext(&iterator, &value, false); token != WJB_DONE;
         token = JsonbIteratorNext(&iterator, &value, false)) {
        CHECK_FOR_INTERRUPTS();
        switch (token) {
            case WJB_BEGIN_ARRAY:
                separate(true);
                if (!is_scalar) out.append("[", 1);
                break;
            case WJB_BEGIN_OBJECT:
                separate(true);
                out.append("{", 1);
                break;
            case WJB_KEY:
                separate(true);
                write_scalar(out, value);
                out.append(": ", 2);
                break;
            case WJB_VALUE:
            case WJB_ELEM:
                separate(false);
                write_scalar(out, value);
                break;
            case WJB_END_ARRAY:
                if (!is_scalar) close("]");
                break;
            case WJB_END_OBJECT:
                close("}");
                break;
            default:
                break;
        }
    }
}

}  // namespace paysync

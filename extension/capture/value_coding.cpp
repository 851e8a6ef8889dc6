#include "capture/value_coding.hpp"

namespace paysync {
namespace {

struct Coding {
    wire::Form form;
    Encoder encoder;
};

Coding coding_of(Oid base_type) {
    switch (base_type) {
        case BOOLOID:
            return Coding{wire::Form::kBool, Encoder::kBool};
        case INT2OID:
            return Coding{wire::Form::kInt, Encoder::kInt2};
        case INT4OID:
            return Coding{wire::Form::kInt, Encoder::kInt4};
        case INT8OID:
            return Coding{wire::Form::kInt, Encoder::kInt8};
        case OIDOID:
            return Coding{wire::Form::kInt, Encoder::kOid};
        case NUMERICOID:
            return Coding{wire::Form::kNumeric, Encoder::kOutput};
        case TIMESTAMPOID:
            return Coding{wire::Form::kTimestamp, Encoder::kInt8};
        case TIMESTAMPTZOID:
            return Coding{wire::Form::kTimestampTz, Encoder::kInt8};
        case UUIDOID:
            return Coding{wire::Form::kUuid, Encoder::kUuid};
        case JSONOID:
            return Coding{wire::Form::kJson, Encoder::kVarlenaText};
        case JSONBOID:
            return Coding{wire::Form::kJson, Encoder::kJsonb};
        case FLOAT4OID:
            return Coding{wire::Form::kFloat4, Encoder::kFloat4};
        case FLOAT8OID:
            return Coding{wire::Form::kFloat8, Encoder::kFloat8};
        case BYTEAOID:
            return Coding{wire::Form::kBytes, Encoder::kBytes};
        case DATEOID:
            return Coding{wire::Form::kDate, Encoder::kInt4};
        case TEXTOID:
        case VARCHAROID:
        case BPCHAROID:
            return Coding{wire::Form::kText, Encoder::kVarlenaText};
        default:
            return Coding{wire::Form::kText, Encoder::kOutput};
    }
}

wire::Form code_single(Oid type, ValueCoding& coding, MemoryContext memory) {
    Oid output = InvalidOid;
    bool is_varlena = false;
    getTypeOutputInfo(type, &output, &is_varlena);
    const Coding found = coding_of(getBaseType(type));
    coding = ValueCoding{};
    coding.encoder = found.encoder;
    fmgr_info_cxt(output, &coding.output, memory);
    return found.form;
}

// The element type of an array that is packed as one. int2vector is subscripted like an array but prints otherwise; an
// array with a delimiter of its own is text as a whole.
Oid packed_element(Oid base_type, ArrayMetaState& layout) {
    const Oid element = get_element_type(base_type);
    if (!OidIsValid(element)) return InvalidOid;
    Oid output = InvalidOid;
    bool is_varlena = false;
    getTypeOutputInfo(base_type, &output, &is_varlena);
    Oid parameter = InvalidOid;
    Oid element_output = InvalidOid;
    layout = ArrayMetaState{};
    layout.element_type = element;
    get_type_io_data(element, IOFunc_output, &layout.typlen, &layout.typbyval, &layout.typalign, &layout.typdelim,
                     &parameter, &element_output);
    return output == F_ARRAY_OUT && layout.typdelim == ',' ? element : InvalidOid;
}

// The type of single values that stand in it: domains and arrays looked through.
Oid innermost(Oid type) {
    Oid base = getBaseType(type);
    for (Oid element = get_element_type(base); OidIsValid(element); element = get_element_type(base))
        base = getBaseType(element);
    return base;
}

}  // namespace

wire::Form code_values(Oid type, ValueCoding& coding, MemoryContext memory) {
    const wire::Form form = code_single(type, coding, memory);
    ArrayMetaState layout;
    const Oid element = packed_element(getBaseType(type), layout);
    if (!OidIsValid(element)) return form;
    auto* const array = static_cast<ArrayCoding*>(MemoryContextAllocZero(memory, sizeof(ArrayCoding)));
    array->layout = layout;
    // An element that is itself an array, through a domain, is text.
    const wire::Form element_form = code_single(element, array->element, memory);
    coding.encoder = Encoder::kArray;
    coding.array = array;
    return wire::array_of(element_form);
}

bool prints_by_settings(Oid type) {
    const Oid base = innermost(type);
    if (get_typtype(base) == TYPTYPE_ENUM) return false;
    switch (base) {
        case BOOLOID:
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case OIDOID:
        case NUMERICOID:
        case UUIDOID:
        case JSONOID:
        case JSONBOID:
        case TEXTOID:
        case VARCHAROID:
        case BPCHAROID:
            return false;
        default:
            return true;
    }
}

// The types of object names, which are printed by what is visible; and those that may have such a type inside.
bool prints_by_path(Oid type) {
    const Oid base = innermost(type);
    const char kind = get_typtype(base);
    if (kind == TYPTYPE_COMPOSITE || kind == TYPTYPE_RANGE || kind == TYPTYPE_MULTIRANGE) return true;
    switch (base) {
        case REGCLASSOID:
        case REGTYPEOID:
        case REGPROCOID:
        case REGPROCEDUREOID:
        case REGOPEROID:
        case REGOPERATOROID:
        case REGCONFIGOID:
        case REGDICTIONARYOID:
        case REGCOLLATIONOID:
            return true;
        default:
            return false;
    }
}

}  // namespace paysync

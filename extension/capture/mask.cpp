#include "capture/mask.hpp"

#include "capture/mask_keys.hpp"
#include "capture/value_encoder.hpp"

namespace paysync {
namespace {

// A value shorter than this is masked whole: what is left visible must not be most of it.
constexpr int kLeastLast4 = 8;
constexpr int kLeastFirst6Last4 = 13;

const char* field_of(JsonbContainer* object, const char* name) {
    JsonbValue value;
    if (!JsonContainerIsObject(object) ||
        getKeyJsonValueFromContainer(object, name, static_cast<int>(strlen(name)), &value) == nullptr ||
        value.type != jbvString)
        return nullptr;
    return pnstrdup(value.val.string.val, static_cast<Size>(value.val.string.len));
}

[[noreturn]] void refuse(const char* column, const char* what) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("mask of column \"%s\" %s", column, what),
                    errhint("Give it another one with paysync.alter_registration().")));
    pg_unreachable();
}

MaskKind kind_of(const char* column, const char* name) {
    static const char* const kNames[] = {"null", "text", "last4", "first6last4", "hmac"};
    for (uint8_t i = 0; i < 5; ++i)
        if (name != nullptr && strcmp(name, kNames[i]) == 0) return static_cast<MaskKind>(i);
    refuse(column, "is of a kind that is not known");
}

// Masks that keep characters go by the characters of the server's encoding, or, where that is unknown, by those that
// the text must be made of to be sent.
size_t character_bytes(wire::Bytes text, size_t at) {
    const int encoding = GetDatabaseEncoding() == PG_SQL_ASCII ? PG_UTF8 : GetDatabaseEncoding();
    return Min(static_cast<size_t>(pg_encoding_mblen(encoding, text.data() + at)), text.size() - at);
}

size_t count_characters(wire::Bytes text) {
    size_t count = 0;
    for (size_t at = 0; at < text.size(); at += character_bytes(text, at)) count += 1;
    return count;
}

// Stars for all characters but the first `first` and the last `last`.
void pack_partly(Packer& packer, const ColumnMask& mask, Datum value, size_t first, size_t last, size_t least) {
    struct varlena* const datum = pg_detoast_datum_packed(reinterpret_cast<struct varlena*>(DatumGetPointer(value)));
    const wire::Bytes whole(VARDATA_ANY(datum), VARSIZE_ANY_EXHDR(datum));
    wire::Bytes text = whole;
    if (mask.is_padded)
        text = whole.substr(
            0, static_cast<size_t>(bpchartruelen(const_cast<char*>(whole.data()), static_cast<int>(whole.size()))));
    const size_t characters = count_characters(text);
    if (characters < least) first = last = 0;
    auto* const masked = static_cast<char*>(MemoryContextAllocHuge(CurrentMemoryContext, whole.size() + 1));
    size_t used = 0;
    size_t character = 0;
    for (size_t at = 0; at < text.size(); ++character) {
        const size_t bytes = character_bytes(text, at);
        if (character < first || character >= characters - last) {
            memcpy(masked + used, text.data() + at, bytes);
            used += bytes;
        } else {
            masked[used++] = '*';
        }
        at += bytes;
    }
    memset(masked + used, ' ', whole.size() - text.size());
    used += whole.size() - text.size();
    masked[used] = '\0';
    pack_text(packer, to_utf8(masked, used));
}

}  // namespace

ColumnMask* find_mask(Jsonb* masks, const char* column, Oid type, const ValueCoding& coding, MemoryContext memory) {
    JsonbValue found;
    if (masks == nullptr || !JB_ROOT_IS_OBJECT(masks) ||
        getKeyJsonValueFromContainer(&masks->root, column, static_cast<int>(strlen(column)), &found) == nullptr)
        return nullptr;
    JsonbContainer* const object = found.type == jbvBinary ? found.val.binary.data : nullptr;
    const char* name = object == nullptr ? nullptr : field_of(object, "mask");
    if (found.type == jbvString) name = pnstrdup(found.val.string.val, static_cast<Size>(found.val.string.len));
    auto* const mask = static_cast<ColumnMask*>(MemoryContextAllocZero(memory, sizeof(ColumnMask)));
    mask->kind = kind_of(column, name);
    mask->coding = coding;
    mask->memory = memory;
    const Oid base = getBaseType(type);
    mask->is_padded = base == BPCHAROID;
    if ((mask->kind == MaskKind::kLast4 || mask->kind == MaskKind::kFirst6Last4) && base != TEXTOID &&
        base != VARCHAROID && base != BPCHAROID)
        refuse(column, "leaves characters visible, and its type is no text");
    if (mask->kind == MaskKind::kText) {
        const char* text = object == nullptr ? nullptr : field_of(object, "value");
        if (text == nullptr) refuse(column, "has no text");
        const MemoryContext before = MemoryContextSwitchTo(memory);
        mask->text = to_utf8(pstrdup(text));
        MemoryContextSwitchTo(before);
    }
    if (mask->kind == MaskKind::kToken) {
        const char* key = object == nullptr ? nullptr : field_of(object, "key");
        if (key == nullptr) refuse(column, "has no key");
        mask->key = MemoryContextStrdup(memory, key);
    }
    return mask;
}

void check_masked_columns(Jsonb* masks, Relation relation) {
    if (masks == nullptr || !JB_ROOT_IS_OBJECT(masks)) return;
    JsonbIterator* iterator = JsonbIteratorInit(&masks->root);
    JsonbValue value;
    for (JsonbIteratorToken token = JsonbIteratorNext(&iterator, &value, true); token != WJB_DONE;
         token = JsonbIteratorNext(&iterator, &value, true)) {
        if (token != WJB_KEY) continue;
        const char* const column = pnstrdup(value.val.string.val, static_cast<Size>(value.val.string.len));
        if (get_attnum(RelationGetRelid(relation), column) > 0) continue;
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("registered table \"%s\" has no column \"%s\", which is to be masked",
                               RelationGetRelationName(relation), column),
                        errdetail("If it was renamed while event triggers were disabled, its values would be sent."),
                        errhint("Say with paysync.alter_registration() what is to be masked.")));
    }
}

void pack_masked(Packer& packer, ColumnMask& mask, Datum value) {
    switch (mask.kind) {
        case MaskKind::kNull:
            packer.pack_nil();
            break;
        case MaskKind::kText:
            pack_text(packer, mask.text);
            break;
        case MaskKind::kLast4:
            pack_partly(packer, mask, value, 0, 4, kLeastLast4);
            break;
        case MaskKind::kFirst6Last4:
            pack_partly(packer, mask, value, 6, 4, kLeastFirst6Last4);
            break;
        case MaskKind::kToken:
            if (mask.secret == nullptr) mask.secret = read_mask_key(mask.key, mask.memory);
            pack_token(packer, *mask.secret, text_of_value(mask.coding, value));
            break;
    }
}

}  // namespace paysync

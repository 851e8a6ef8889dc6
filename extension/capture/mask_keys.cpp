#include "capture/mask_keys.hpp"

#include "outbox/catalog.hpp"
#include "outbox/named_columns.hpp"

namespace paysync {
namespace {

void forget_key(void* key) {
    auto* const known = static_cast<MaskKey*>(key);
    explicit_bzero(known->bytes, known->length);
}

MaskKey* keep_key(const char* name, Datum secret, MemoryContext memory) {
    struct varlena* const stored = pg_detoast_datum_packed(reinterpret_cast<struct varlena*>(DatumGetPointer(secret)));
    auto* const key = static_cast<MaskKey*>(MemoryContextAllocZero(memory, sizeof(MaskKey)));
    key->length = VARSIZE_ANY_EXHDR(stored);
    key->bytes = static_cast<uint8*>(MemoryContextAlloc(memory, key->length + 1));
    key->end.func = forget_key;
    key->end.arg = key;
    MemoryContextRegisterResetCallback(memory, &key->end);
    memcpy(key->bytes, VARDATA_ANY(stored), key->length);
    if (PointerGetDatum(stored) != secret) {
        explicit_bzero(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
        pfree(stored);
    }
    const MemoryContext before = MemoryContextSwitchTo(memory);
    key->prefix = to_utf8(psprintf("%s:", name));
    MemoryContextSwitchTo(before);
    return key;
}

}  // namespace

MaskKey* read_mask_key(const char* name, MemoryContext memory) {
    MaskKey* found = nullptr;
    const Oid table = get_relname_relid("mask_key", get_namespace_oid("paysync", false));
    if (OidIsValid(table)) {
        const Relation keys = table_open(table, AccessShareLock);
        const SysScanDesc scan = systable_beginscan(keys, InvalidOid, false, nullptr, 0, nullptr);
        for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
            const NamedColumns row{tuple, RelationGetDescr(keys)};
            Datum secret = 0;
            if (found == nullptr && strcmp(row.text_or("name", ""), name) == 0 && row.find("secret", secret))
                found = keep_key(name, secret, memory);
        }
        systable_endscan(scan);
        table_close(keys, AccessShareLock);
    }
    if (found == nullptr)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("mask key \"%s\" is not set", name),
                        errdetail("A registered table masks a column with it."),
                        errhint("Set it with paysync.set_mask_key(). Secrets are in no dump of the database.")));
    return found;
}

void pack_token(Packer& packer, const MaskKey& key, wire::Bytes text) {
    uint8 digest[PG_SHA256_DIGEST_LENGTH];
    pg_hmac_ctx* const hmac = pg_hmac_create(PG_SHA256);
    if (hmac == nullptr || pg_hmac_init(hmac, key.bytes, key.length) < 0 ||
        pg_hmac_update(hmac, reinterpret_cast<const uint8*>(text.data()), text.size()) < 0 ||
        pg_hmac_final(hmac, digest, sizeof digest) < 0)
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute a token"),
                        errdetail("%s", hmac == nullptr ? "Out of memory." : pg_hmac_error(hmac))));
    pg_hmac_free(hmac);
    static const char kHex[] = "0123456789abcdef";
    char hex[2 * sizeof digest];
    for (size_t i = 0; i < sizeof digest; ++i) {
        hex[2 * i] = kHex[digest[i] >> 4];
        hex[2 * i + 1] = kHex[digest[i] & 15];
    }
    packer.pack_str(static_cast<uint32_t>(key.prefix.size() + sizeof hex));
    packer.pack_str_body(key.prefix.data(), static_cast<uint32_t>(key.prefix.size()));
    packer.pack_str_body(hex, sizeof hex);
}

}  // namespace paysync

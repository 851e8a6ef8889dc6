#include "capture/closing_record.hpp"

#include "settings.hpp"
#include "wire/closing.hpp"

namespace paysync {
namespace {

void pack_digest(Packer& packer, const wire::Digest& digest) {
    char bytes[wire::kDigestBytes];
    wire::put_digest(bytes, digest);
    pack_bytes(packer, wire::Bytes(bytes, sizeof bytes));
}

void pack_optional(Packer& packer, const char* text) {
    if (text[0] == '\0') {
        packer.pack_nil();
    } else {
        pack_text(packer, to_utf8(text));
    }
}

bool is_first_of_channel(const LevelTotals& totals, int index) {
    for (int i = 0; i < index; ++i)
        if (totals.shapes[i].channel == totals.shapes[index].channel) return false;
    return true;
}

void pack_channels(Packer& packer, const LevelTotals& totals) {
    uint32_t channels = 0;
    for (int i = 0; i < totals.shape_count; ++i) channels += is_first_of_channel(totals, i) ? 1 : 0;
    packer.pack_array(channels);
    for (int i = 0; i < totals.shape_count; ++i) {
        if (!is_first_of_channel(totals, i)) continue;
        uint64 changes = 0;
        wire::Digest digest;
        for (int j = i; j < totals.shape_count; ++j) {
            if (totals.shapes[j].channel != totals.shapes[i].channel) continue;
            changes += totals.shapes[j].changes;
            digest += totals.shapes[j].digest;
        }
        packer.pack_array(3);
        pack_text(packer, to_utf8(totals.shapes[i].channel));
        packer.pack_uint64(changes);
        pack_digest(packer, digest);
    }
}

void pack_shapes(Packer& packer, const LevelTotals& totals) {
    uint32_t shapes = 0;
    for (int i = 0; i < totals.shape_count; ++i) shapes += totals.shapes[i].shape != 0 ? 1 : 0;
    packer.pack_array(shapes);
    for (int i = 0; i < totals.shape_count; ++i)
        if (totals.shapes[i].shape != 0) packer.pack_int64(totals.shapes[i].shape);
}

}  // namespace

void pack_manifest(ByteBuffer& out, const LevelTotals& totals) {
    Packer packer(out);
    packer.pack_array(2);
    pack_channels(packer, totals);
    pack_shapes(packer, totals);
}

void pack_closing(ByteBuffer& out, const LevelTotals& totals, bool reorder, wire::Bytes manifest,
                  int32 manifest_parts) {
    uint64 changes = 0;
    wire::Digest digest;
    for (int i = 0; i < totals.shape_count; ++i) {
        changes += totals.shapes[i].changes;
        digest += totals.shapes[i].digest;
    }
    Packer packer(out);
    packer.pack_array(12);
    packer.pack_uint64(wire::kOutboxFormat);
    packer.pack_int64(GetCurrentTimestamp());
    pack_optional(packer, session_origin());
    pack_optional(packer, session_context());
    packer.pack_uint64(reorder ? wire::kFlagReorder : 0);
    packer.pack_uint64(static_cast<uint64>(totals.rows_written));
    packer.pack_uint64(totals.bytes);
    packer.pack_uint64(changes);
    pack_digest(packer, digest);
    packer.pack_uint64(static_cast<uint64>(manifest_parts));
    if (manifest_parts > 0) {
        packer.pack_nil();
        packer.pack_nil();
    } else {
        out.write(manifest.data() + 1, manifest.size() - 1);  // the two arrays without the array around them
    }
}

}  // namespace paysync

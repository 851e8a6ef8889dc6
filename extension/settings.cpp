#include "postgres.hpp"

#include "settings.hpp"

namespace paysync {
namespace {

// Both texts stand in the closing record of every transaction, which must fit into one page beside everything else.
constexpr size_t kMaxOrigin = 255;
constexpr size_t kMaxContext = 1023;

char* origin = nullptr;
char* context = nullptr;
int segment_size = 0;
bool enabled = true;

bool check_length(const char* name, const char* value, size_t limit) {
    if (value == nullptr || strlen(value) <= limit) return true;
    GUC_check_errdetail("\"%s\" is at most %zu bytes long.", name, limit);
    return false;
}

bool check_origin(char** value, void**, GucSource) { return check_length("paysync.origin", *value, kMaxOrigin); }
bool check_context(char** value, void**, GucSource) { return check_length("paysync.context", *value, kMaxContext); }

}  // namespace

const char* session_origin() { return origin == nullptr ? "" : origin; }
bool capture_is_enabled() { return enabled; }
const char* session_context() { return context == nullptr ? "" : context; }

void define_settings() {
    DefineCustomStringVariable("paysync.origin", "Where this session's changes came from.",
                               "Carried in the header of each captured transaction; empty means from here.", &origin,
                               "", PGC_USERSET, 0, check_origin, nullptr, nullptr);
    DefineCustomStringVariable("paysync.context", "Free text carried with this session's changes, e.g. a trace id.",
                               nullptr, &context, "", PGC_USERSET, 0, check_context, nullptr, nullptr);
    DefineCustomIntVariable("paysync.segment_size",
                            "Size at which a segment of the outbox is followed by the next one.", nullptr,
                            &segment_size, 256 * 1024, 64, INT_MAX, PGC_SUSET, GUC_UNIT_KB, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("paysync.enabled", "Captures what this session writes to registered tables.",
                             "Where it is off, the stream has a gap for each table that is written to.", &enabled, true,
                             PGC_SUSET, 0, nullptr, nullptr, nullptr);
    MarkGUCPrefixReserved("paysync");
}

}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_segment_bytes);

// paysync.segment_bytes() returns bigint: paysync.segment_size in bytes. SQL cannot read the setting by itself: a
// session knows it only once the library is loaded, which calling this does.
PGDLLEXPORT Datum paysync_segment_bytes(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    PG_RETURN_INT64(int64{paysync::segment_size} * 1024);
}
}

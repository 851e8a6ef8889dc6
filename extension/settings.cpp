#include "postgres.hpp"

#include "settings.hpp"

namespace paysync {
namespace {

// Both texts stand in the closing record of every transaction, which must fit into one page beside everything else.
constexpr size_t kMaxOrigin = 255;
constexpr size_t kMaxContext = 1023;

char* origin = nullptr;
char* context = nullptr;
bool enabled = true;

// These hold for the outbox and so for the whole database: what counts is what database_setting() finds, never the
// session's own value. The variables are there to be checked when they are set.
int segment_size = 0;
int segment_age = 0;
int retention = 0;
int outbox_limit = 0;
int outbox_full = 0;

const config_enum_entry kOutboxFull[] = {{"suspend", 0, false}, {"refuse", 1, false}, {nullptr, 0, false}};

bool check_length(const char* name, const char* value, size_t limit) {
    if (value == nullptr || strlen(value) <= limit) return true;
    GUC_check_errdetail("\"%s\" is at most %zu bytes long.", name, limit);
    return false;
}

bool check_origin(char** value, void**, GucSource) { return check_length("paysync.origin", *value, kMaxOrigin); }
bool check_context(char** value, void**, GucSource) { return check_length("paysync.context", *value, kMaxContext); }

void define_outbox_settings() {
    const char* const whose =
        "Set it for the database or the server; what a session or a role sets for itself has no effect.";
    DefineCustomIntVariable("paysync.segment_size",
                            "Size at which a segment of the outbox is followed by the next one.", whose, &segment_size,
                            256 * 1024, 64, INT_MAX, PGC_USERSET, GUC_UNIT_KB, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("paysync.segment_age",
                            "Age at which a segment of the outbox is followed by the next one; 0: never.", whose,
                            &segment_age, 3600, 0, INT_MAX, PGC_USERSET, GUC_UNIT_S, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("paysync.retention", "How long the outbox keeps what all subscribers have, for replays.",
                            whose, &retention, 0, 0, INT_MAX, PGC_USERSET, GUC_UNIT_S, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("paysync.outbox_limit", "Size that the outbox may have; 0: any.", whose, &outbox_limit,
                            10 * 1024 * 1024, 0, INT_MAX, PGC_USERSET, GUC_UNIT_KB, nullptr, nullptr, nullptr);
    DefineCustomEnumVariable("paysync.outbox_full", "What becomes of changes when the outbox has reached its limit.",
                             whose, &outbox_full, 0, kOutboxFull, PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

config_generic* find_setting(const char* name) {
#if PG_VERSION_NUM >= 160000
    return find_option(name, false, true, ERROR);
#else
    config_generic** const all = get_guc_variables();
    for (int i = 0; i < GetNumConfigOptions(); ++i)
        if (strcmp(all[i]->name, name) == 0) return all[i];
    return nullptr;
#endif
}

config_generic& known_setting(const char* name) {
    config_generic* const setting = find_setting(name);
    if (setting == nullptr)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("unrecognized setting \"%s\"", name)));
    return *setting;
}

int64 unit_of(const config_generic& setting) { return (setting.flags & GUC_UNIT_MEMORY) == GUC_UNIT_KB ? 1024 : 1; }

bool parse_choice(const config_enum& setting, const char* text, int64& value) {
    for (const config_enum_entry* choice = setting.options; choice->name != nullptr; ++choice) {
        if (pg_strcasecmp(choice->name, text) != 0) continue;
        value = choice->val;
        return true;
    }
    return false;
}

// The value in bytes, seconds or the number of the choice. False where `text` is none.
bool parse_setting(const config_generic& setting, const char* text, int64& value) {
    if (setting.vartype == PGC_ENUM) return parse_choice(reinterpret_cast<const config_enum&>(setting), text, value);
    int number = 0;
    if (setting.vartype != PGC_INT || !parse_int(text, &number, setting.flags, nullptr)) return false;
    const auto& limits = reinterpret_cast<const config_int&>(setting);
    if (number < limits.min || number > limits.max) return false;
    value = number * unit_of(setting);
    return true;
}

int64 default_of(const config_generic& setting) {
    if (setting.vartype == PGC_ENUM) return reinterpret_cast<const config_enum&>(setting).boot_val;
    return reinterpret_cast<const config_int&>(setting).boot_val * unit_of(setting);
}

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
    define_outbox_settings();
    DefineCustomBoolVariable("paysync.enabled", "Captures what this session writes to registered tables.",
                             "Where it is off, the stream has a gap for each table that is written to.", &enabled, true,
                             PGC_SUSET, 0, nullptr, nullptr, nullptr);
    MarkGUCPrefixReserved("paysync");
}

}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_segment_bytes);
PG_FUNCTION_INFO_V1(paysync_server_setting);
PG_FUNCTION_INFO_V1(paysync_parse_setting);

// paysync.segment_bytes() returns bigint: paysync.segment_size of this session in bytes. For the SQL of versions before
// 0.3.
PGDLLEXPORT Datum paysync_segment_bytes(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    PG_RETURN_INT64(int64{paysync::segment_size} * 1024);
}

// paysync.server_setting(name text) returns text: what the server's configuration says; null where the session cannot
// tell, since its database, role or client says something else.
PGDLLEXPORT Datum paysync_server_setting(PG_FUNCTION_ARGS) {
    const char* const name = text_to_cstring(PG_GETARG_TEXT_PP(0));
    if (paysync::known_setting(name).reset_source > PGC_S_GLOBAL) PG_RETURN_NULL();
    PG_RETURN_TEXT_P(cstring_to_text(GetConfigOptionResetString(name)));
}

// paysync.parse_setting(name text, candidates text[]) returns bigint: the first of them that is a value of the setting,
// in bytes, seconds or as the number of the choice; else its default.
PGDLLEXPORT Datum paysync_parse_setting(PG_FUNCTION_ARGS) {
    const config_generic& setting = paysync::known_setting(text_to_cstring(PG_GETARG_TEXT_PP(0)));
    Datum* elements = nullptr;
    bool* nulls = nullptr;
    int count = 0;
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
    for (int i = 0; i < count; ++i) {
        int64 value = 0;
        if (!nulls[i] && paysync::parse_setting(setting, TextDatumGetCString(elements[i]), value))
            PG_RETURN_INT64(value);
    }
    PG_RETURN_INT64(paysync::default_of(setting));
}
}

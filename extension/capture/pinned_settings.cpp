#include "postgres.hpp"

#include "capture/pinned_settings.hpp"

namespace paysync {
namespace {

void pin(const char* name, const char* value) {
    set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

}  // namespace

int pin_settings(bool path) {
    const int level = NewGUCNestLevel();
    if (DateStyle != USE_ISO_DATES) pin("datestyle", "ISO");
    if (IntervalStyle != INTSTYLE_POSTGRES) pin("intervalstyle", "postgres");
    if (extra_float_digits < 1) pin("extra_float_digits", "1");
    if (quote_all_identifiers) pin("quote_all_identifiers", "off");
    if (strcmp(locale_monetary, "C") != 0) pin("lc_monetary", "C");
    if (bytea_output != BYTEA_OUTPUT_HEX) pin("bytea_output", "hex");
    if (strcmp(pg_get_timezone_name(session_timezone), "UTC") != 0) pin("timezone", "UTC");
    if (path) pin("search_path", "pg_catalog, pg_temp");
    return level;
}

int pin_expression_settings() {
    const int level = pin_settings(true);
    pin("standard_conforming_strings", "on");
    pin("backslash_quote", "safe_encoding");
    pin("transform_null_equals", "off");
    pin("array_nulls", "on");
    pin("xmloption", "content");
    return level;
}

void leave_settings(int level) { AtEOXact_GUC(true, level); }

}  // namespace paysync

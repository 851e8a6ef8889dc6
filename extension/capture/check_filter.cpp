// paysync.check_row_filter(): may this text be a row filter of that table?
#include "capture/filter_expression.hpp"
#include "capture/pinned_settings.hpp"
#include "owner_rights.hpp"

namespace paysync {
namespace {

// The text as it is kept: names qualified, constants as they were read. What the parser makes of it must be the same
// whoever reads it, whatever that session has set.
char* canonical_filter(const char* text, Relation relation) {
    Node* planned = nullptr;
    Node* const expression = analyse_filter(text, relation, &planned);
    const int settings = pin_expression_settings();
    char* const canonical = print_filter(expression, relation);
    char* const again = print_filter(analyse_filter(canonical, relation, &planned), relation);
    leave_settings(settings);
    if (strcmp(canonical, again) != 0)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("row filter cannot be written down exactly"),
                        errdetail("It reads as \"%s\", and that as \"%s\".", canonical, again),
                        errhint("Say it in another way, with explicit casts.")));
    return canonical;
}

}  // namespace
}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_check_row_filter);

// paysync.check_row_filter(table_name regclass, filter text) returns text: the filter in canonical form; an error if it
// cannot be one. Functions in it may run: as the table's owner, who may be anyone, never as the owner of the extension.
PGDLLEXPORT Datum paysync_check_row_filter(PG_FUNCTION_ARGS) {
    const Relation relation = relation_open(PG_GETARG_OID(0), AccessShareLock);
    const paysync::CallerIdentity caller = paysync::become(relation->rd_rel->relowner);
    SetUserIdAndSecContext(relation->rd_rel->relowner, caller.context | SECURITY_RESTRICTED_OPERATION);
    const char* const canonical = paysync::canonical_filter(text_to_cstring(PG_GETARG_TEXT_PP(1)), relation);
    paysync::become_again(caller);
    relation_close(relation, AccessShareLock);
    PG_RETURN_TEXT_P(cstring_to_text(canonical));
}
}

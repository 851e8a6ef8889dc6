// The text of a row filter as an expression over a table's columns.
#pragma once

#include "postgres.hpp"

namespace paysync {

// Parses and analyses `text` against the columns of `relation`, which must be locked: one boolean, immutable expression
// without subqueries, aggregates, window functions, sets or system columns, in which column n is Var 1.n. Names are
// resolved by the search path. With `planned` it gets the same with defaults and constants filled in, for which
// functions may run. Errors name the place in `text`.
Node* analyse_filter(const char* text, Relation relation, Node** planned);

// The expression as text that reads the same under the settings of pin_expression_settings(), which must be in force.
char* print_filter(Node* expression, Relation relation);

}  // namespace paysync

// What paysync.registration says of a table, its own row's or that of the ancestor that stands for it.
#pragma once

#include "capture/captured_table.hpp"

namespace paysync {

struct Registration {
    Oid relation;  // the registered one
    const char* channel;
    bool insert_only;
    bool all_columns;
    List* columns;  // of char*, names; where not all are sent
    bool has_key_columns;
    List* key_columns;       // of char*, names; where it is not the primary key
    const char* row_filter;  // null: all rows
    Jsonb* masks;            // null: none
    OldValues old_values;
    bool leaf;  // rows are reported under the relation that holds them
    bool skip_unchanged;
};

// The registration that `relation` is captured by, in the current memory context: its own, else that of the nearest
// ancestor that has one. `ancestors` gets the relations that were asked on the way up. Columns that an older version's
// table does not have mean their defaults. False if there is none; error 55000 if it is of a newer version.
bool find_registration(Oid relation, Registration& found, List*& ancestors);

}  // namespace paysync

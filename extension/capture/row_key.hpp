// What names a row of a table: its primary key, or the columns that the registration names instead.
#pragma once

#include "capture/registration.hpp"

namespace paysync {

// Fills key, keys and is_key of `table`, whose columns are those of `shaped`. No key where there is none that is unique
// at any time, or where a column of it is not sent: half a key would name the wrong rows.
void describe_key(Relation shaped, const Registration& registration, CapturedTable& table);

}  // namespace paysync

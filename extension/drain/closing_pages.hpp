// Closing tables, page by page: they have no index, so that a writer pays for none.
#pragma once

#include "drain/closing_scan.hpp"
#include "drain/frontier.hpp"

namespace paysync {

// Looks through what may have changed in the closing table of `slot` since `from`. Calls `each(context, row)` for what
// `snapshot` sees and `cut` does not. `next`, where it is given, is moved on: what is behind it then has been handed
// out, or is one that waits. `segment_file` goes into the rows.
void scan_closing_pages(int slot, Oid segment_file, const Frontier& from, const Cut& cut, Snapshot snapshot,
                        void (*each)(void* context, const ClosingRow& row), void* context, Frontier* next);

}  // namespace paysync

// The known name nearest to what somebody typed.
#pragma once

#include <algorithm>
#include <numeric>
#include <string_view>
#include <vector>

namespace paysync::relay {

// Insertions, deletions and replacements that turn `a` into `b`.
inline size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

// The nearest of `known`, which must not be empty.
template <typename Names>
std::string_view nearest(std::string_view name, const Names& known) {
    return *std::min_element(std::begin(known), std::end(known), [name](std::string_view a, std::string_view b) {
        return edit_distance(name, a) < edit_distance(name, b);
    });
}

}  // namespace paysync::relay

// What the relay answers over HTTP: metrics, whether it is alive, whether it serves.
#pragma once

#include <string>
#include <string_view>

#include "exposition.hpp"
#include "vitals.hpp"

namespace paysync::relay {

struct Page {
    unsigned status = 200;
    const char* type = "text/plain; charset=utf-8";
    std::string body;
};

// A loop that did not turn for so long hangs.
inline constexpr seconds kLoopHangs{5};

// The page at `path` as of `now`; any thread may ask. An unknown path is a page with status 404.
[[nodiscard]] Page page_at(std::string_view path, const Vitals& vitals, const HttpCounters& http, Time now);

// Why the relay does not serve, or null where it does.
[[nodiscard]] const char* reason_not_ready(Readiness readiness);

}  // namespace paysync::relay

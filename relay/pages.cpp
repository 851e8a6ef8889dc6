// The pages, each made from what the loop reported last.
#include "pages.hpp"

#include <optional>

namespace paysync::relay {

namespace {

// Why the loop counts as hanging, if it does.
std::optional<std::string> hang(const Vitals& vitals, Time now) {
    const Duration silence = now - vitals.last_turn();
    if (silence < kLoopHangs) return std::nullopt;
    const auto whole = std::chrono::duration_cast<seconds>(silence).count();
    return "the loop has not turned for " + std::to_string(whole) + " s\n";
}

}  // namespace

const char* reason_not_ready(Readiness readiness) {
    switch (readiness) {
        case Readiness::kServing:
            return nullptr;
        case Readiness::kStarting:
            return "the database was not reached yet";
        case Readiness::kStandby:
            return "another relay leads";
        case Readiness::kDatabaseAway:
            return "the database is away";
        case Readiness::kCheckingHistory:
            return "the lease was taken, and the database's history is being compared";
        case Readiness::kDraining:
            return "the relay is stopping";
    }
    return "unknown";
}

Page page_at(std::string_view path, const Vitals& vitals, const HttpCounters& http, Time now) {
    if (path == "/metrics") {
        return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(*vitals.report(), http, now)};
    }
    if (path != "/healthz" && path != "/readyz") {
        Page page{404, "text/plain; charset=utf-8", "there are /metrics, /healthz and /readyz\n"};
        return page;
    }
    Page page;
    if (auto reason = hang(vitals, now)) {
        page.status = 503;
        page.body = std::move(*reason);
    } else if (const char* const why = reason_not_ready(vitals.report()->readiness);
               why != nullptr && path == "/readyz") {
        page.status = 503;
        page.body = std::string(why) + "\n";
    } else {
        page.body = path == "/readyz" ? "ready\n" : "ok\n";
    }
    return page;
}

}  // namespace paysync::relay

// One question about all sessions at once.
#include "revisions.hpp"

#include <algorithm>

#include "calls.hpp"
#include "log.hpp"

namespace paysync::relay {

void Revisions::run(Time now, bool serving) {
    if (asking_ || !serving || sessions_.empty() || now - asked_ < kEvery) return;
    std::vector<std::string> names;
    std::vector<int64_t> revisions;
    std::vector<uint64_t> ids;
    for (const auto& [id, session] : sessions_.all()) {
        if (session->ended) continue;
        names.push_back(session->subscriber);
        revisions.push_back(static_cast<int64_t>(session->revision));
        ids.push_back(id);
    }
    if (names.empty()) return;
    asking_ = true;
    asked_ = now;
    worker_.submit(stale_sessions_query(names, revisions),
                   [this, ids = std::move(ids)](Answer& answer) { take_answer(ids, answer); });
}

// A session that began after the question is not what the answer is about.
void Revisions::take_answer(const std::vector<uint64_t>& asked, Answer& answer) {
    asking_ = false;
    if (answer.error) {
        if (!answer.lost) {
            log_error("stale_sessions_failed",
                      {{"sqlstate", answer.error->sqlstate}, {"message", answer.error->message}});
        }
        return;
    }
    for (int row = 0; row < answer.rows.count(); ++row) {
        Session* const session = sessions_.by_subscriber(answer.rows.text(row, 0));
        if (session == nullptr || !std::binary_search(asked.begin(), asked.end(), session->id)) continue;
        on_stale(*session);
    }
}

}  // namespace paysync::relay

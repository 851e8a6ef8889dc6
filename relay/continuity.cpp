// Opens an ephemeral subscriber at the position in question and closes it again.
#include "continuity.hpp"

#include "log.hpp"
#include "wire/frame.hpp"

namespace paysync::relay {

void Continuity::ask(const Stream& before, std::function<void(bool)> done, std::function<void()> failed) {
    question_ += 1;
    const std::string position = before.position(before.head);
    worker_.submit(
        open_subscriber_query(wire::kEphemeral, before.stream_id, position, false),
        [this, position, question = question_, done = std::move(done), failed = std::move(failed)](Answer& answer) {
            if (!answer.error && worker_.up()) {
                worker_.submit(close_subscriber_query(read_opened(answer.rows).name), nullptr);
            }
            if (question != question_) return;
            if (!answer.error) {
                done(true);
            } else if (answer.error->sqlstate.rfind("PS", 0) == 0) {
                log_error("history_changed", {{"position", position},
                                              {"sqlstate", answer.error->sqlstate},
                                              {"message", answer.error->message},
                                              {"detail", answer.error->detail}});
                done(false);
            } else {
                log_error("history_check_failed",
                          {{"sqlstate", answer.error->sqlstate}, {"message", answer.error->message}});
                failed();
            }
        });
}

}  // namespace paysync::relay

// What can change, what cannot, and the words for both.
#include "reload.hpp"

#include "failure.hpp"
#include "log.hpp"

namespace paysync::relay {

namespace {

std::string list(const std::vector<std::string_view>& keys) {
    std::string text;
    for (const std::string_view key : keys) text.append(text.empty() ? "" : ",").append(key);
    return text;
}

}  // namespace

Reloaded take_over(Options& current, const Options& wanted) {
    Reloaded outcome;
    const auto change = [&outcome](std::string_view key, auto& now, const auto& then) {
        if (now == then) return;
        now = then;
        outcome.changed.push_back(key);
    };
    const auto keep = [&outcome](std::string_view key, const std::string& now, const std::string& then) {
        if (now != then) outcome.ignored.push_back(key);
    };
    keep("dsn", current.dsn, wanted.dsn);
    keep("bind", current.bind, wanted.bind);
    keep("http", current.http, wanted.http);
    change("window_bytes", current.window_bytes, wanted.window_bytes);
    change("page_bytes", current.page_bytes, wanted.page_bytes);
    change("batch_bytes", current.batch_bytes, wanted.batch_bytes);
    change("verify", current.verify, wanted.verify);
    change("log_level", current.log_level, wanted.log_level);
    change("log_format", current.log_format, wanted.log_format);
    return outcome;
}

bool reload(Options& current, const std::function<Options()>& read) {
    try {
        const Reloaded outcome = take_over(current, read());
        start_log(current.log_level, current.log_format);
        // Values are not shown: a connection string may hold a password.
        if (!outcome.ignored.empty()) {
            log_warning("reload_ignored", {{"keys", list(outcome.ignored)},
                                           {"hint", "These take effect when the relay is started again."}});
        }
        log_info("reloaded", {{"changed", outcome.changed.empty() ? "nothing" : list(outcome.changed)}});
        return true;
    } catch (const Failure& failure) {
        log_error("reload_failed", {{"message", failure.what()}, {"detail", failure.detail}, {"hint", failure.hint}});
    } catch (const std::exception& error) {
        log_error("reload_failed", {{"message", error.what()}});
    }
    return false;
}

}  // namespace paysync::relay

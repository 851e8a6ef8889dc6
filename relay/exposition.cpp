// The families, in the order in which docs/relay.md lists them.
#include "exposition.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "process_facts.hpp"

namespace paysync::relay {

namespace {

constexpr std::string_view kStates[] = {"streaming", "catching_up", "stalled",    "away",   "never_seen",
                                        "paused",    "cut_off",     "needs_copy", "unknown"};
constexpr std::string_view kStatuses[] = {"ok",        "no_subscriber", "no_relay", "relay_silent", "behind",
                                          "half_full", "suspended",     "refusing", "unknown"};
constexpr std::string_view kUnknown = "unknown";

template <typename Number>
void append_number(std::string& out, Number value) {
    char digits[32];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
    if (error == std::errc()) out.append(digits, end);
}

// Backslash, double quote and line feed are what a label value must not hold bare.
void append_label_value(std::string& out, std::string_view text) {
    for (const char c : text) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n') {
            out += "\\n";
        } else {
            out += c;
        }
    }
}

double to_seconds(int64_t ms) { return static_cast<double>(ms) / 1000.0; }

// Who had everything may have been left behind since: after a while of silence the silence itself is the lag.
int64_t lag_now(int64_t lag_ms, int64_t age_ms) {
    if (lag_ms > 0 || age_ms > milliseconds(kStaleSample).count()) return lag_ms + age_ms;
    return 0;
}

// What the database said is no longer known after a while.
std::string_view known_state(std::string_view state, int64_t age_ms) {
    return age_ms > milliseconds(kStaleSample).count() ? kUnknown : state;
}

// Each of `states` with 1 where it is `current`, and `current` itself where it is none of them.
template <size_t kCount>
void each_state(const std::string_view (&states)[kCount], std::string_view current, auto sample) {
    for (const std::string_view state : states) sample(state, uint64_t{state == current});
    if (std::find(std::begin(states), std::end(states), current) == std::end(states)) sample(current, uint64_t{1});
}

void write_subscribers(Exposition& out, const std::vector<SubscriberSample>& subscribers, int64_t age_ms) {
    if (subscribers.empty()) return;
    const auto each = [&](std::string_view name, std::string_view help, auto value_of) {
        out.family(name, "gauge", help);
        for (const SubscriberSample& one : subscribers) out.sample({{"subscriber", one.name}}, value_of(one));
    };
    each("paysync_lag_seconds", "Age of the oldest transaction that the subscriber has not acknowledged.",
         [age_ms](const SubscriberSample& one) { return to_seconds(lag_now(one.lag_ms, age_ms)); });
    each("paysync_lag_transactions", "Transactions that the subscriber has not acknowledged.",
         [](const SubscriberSample& one) { return static_cast<double>(one.lag_transactions); });
    each("paysync_lag_bytes", "Bytes of changes that the subscriber has not acknowledged.",
         [](const SubscriberSample& one) { return static_cast<double>(one.lag_bytes); });
    each("paysync_parked_transactions", "Transactions that the subscriber was told to skip; they are kept aside.",
         [](const SubscriberSample& one) { return static_cast<double>(one.parked); });
    out.family("paysync_subscriber_state", "gauge", "1 for the state that the subscriber is in, 0 for the others.");
    for (const SubscriberSample& one : subscribers) {
        each_state(kStates, known_state(one.state, age_ms), [&](std::string_view state, uint64_t value) {
            out.sample({{"subscriber", one.name}, {"state", state}}, value);
        });
    }
}

void write_sample(Exposition& out, const Sample& sample, Time now) {
    const int64_t age_ms = std::max<int64_t>(0, std::chrono::duration_cast<milliseconds>(now - sample.at).count());
    write_subscribers(out, sample.subscribers, age_ms);
    out.family("paysync_status", "gauge",
               "1 for the state of the whole, as in the view paysync.status, 0 for the others.");
    each_state(kStatuses, known_state(sample.status, age_ms), [&out](std::string_view state, uint64_t value) {
        out.sample({{"state", state}}, value);
    });
    out.single("paysync_outbox_bytes", "gauge", "Size of the outbox on disk.",
               static_cast<double>(sample.outbox_bytes));
    out.single("paysync_outbox_limit_bytes", "gauge",
               "Size at which capture is suspended or writes are refused; 0: none.",
               static_cast<double>(sample.outbox_limit));
    if (sample.last_tick_age_ms >= 0) {
        out.single("paysync_last_tick_age_seconds", "gauge",
                   "Time since the last tick was cut. On a database without changes there is none to cut.",
                   to_seconds(sample.last_tick_age_ms + age_ms));
    }
    out.single("paysync_unticked_transactions", "gauge", "Committed transactions that no tick has numbered yet.",
               static_cast<double>(sample.unticked_transactions));
    out.single("paysync_unticked_seconds", "gauge", "Age of the oldest committed transaction without a number.",
               to_seconds(sample.unticked_ms > 0 ? sample.unticked_ms + age_ms : 0));
    out.single("paysync_observation_age_seconds", "gauge", "Time since the database was asked for the values above.",
               to_seconds(age_ms));
}

void write_relay(Exposition& out, const Report& report) {
    out.family("paysync_relay_info", "gauge", "Always 1; version and database of the relay.");
    out.sample({{"version", report.version}, {"database", report.database}}, uint64_t{1});
    out.single("paysync_relay_is_leader", "gauge", "1 while the relay holds the lease, 0 on one that stands by.",
               uint64_t{report.leads});
    out.single("paysync_relay_ready", "gauge", "1 while subscribers are served.",
               uint64_t{report.readiness == Readiness::kServing});
    out.single("paysync_relay_epoch", "gauge", "Epoch that the relay leads, 0 while it does not lead.", report.epoch);
    out.single("paysync_database_up", "gauge", "1 while the relay is connected to its database.",
               uint64_t{report.database_up});
    out.single("paysync_head_number", "gauge", "The last transaction number that may be sent.", report.head);
    out.family(
        "paysync_sessions", "gauge",
        "Sessions now, by where they read: from the shared window (head) or the outbox for themselves (behind).");
    out.sample({{"place", "head"}}, report.sessions_at_head);
    out.sample({{"place", "behind"}}, report.sessions_behind);
    out.single("paysync_window_bytes", "gauge", "Memory of the transactions that sessions at the head share.",
               report.window_bytes);
    out.single("paysync_window_limit_bytes", "gauge", "What window_bytes is set to.", report.window_limit);
}

void write_counters(Exposition& out, const Counters& counted, const HttpCounters& http) {
    const auto total = [&out](std::string_view name, std::string_view help, uint64_t value) {
        out.single(name, "counter", help, value);
    };
    total("paysync_sessions_opened_total", "Sessions that began.", counted.sessions_opened);
    total("paysync_sessions_ended_total", "Sessions that ended.", counted.sessions_ended);
    total("paysync_hellos_refused_total", "HELLOs answered with an error.", counted.hellos_refused);
    total("paysync_connections_refused_total", "Connections refused in the handshake.", counted.connections_refused);
    total("paysync_bad_frames_total", "Messages that were none of the protocol.", counted.bad_frames);
    total("paysync_batches_sent_total", "Messages with changes that were sent.", counted.batches_sent);
    total("paysync_sent_bytes_total", "Bytes sent to all subscribers, as credit counts them.", counted.bytes_sent);
    total("paysync_sent_transactions_total", "Transactions sent, each as often as it was.", counted.transactions_sent);
    total("paysync_credit_stalls_total", "Times that a session had something to take and no credit for it.",
          counted.credit_stalls);
    total("paysync_pages_read_total", "Pages of the outbox that were read.", counted.pages_read);
    total("paysync_read_bytes_total", "Bytes of the outbox that were read.", counted.bytes_read);
    total("paysync_ticks_total", "Ticks that moved the head.", counted.ticks);
    total("paysync_leads_total", "Times that this process took the lease.", counted.leads);
    total("paysync_database_losses_total", "Connections to the database that broke.", counted.database_losses);
    total("paysync_log_lines_suppressed_total", "Log lines held back.", counted.lines_suppressed);
    out.family("paysync_reloads_total", "counter", "SIGHUPs, by whether the configuration could be taken.");
    out.sample({{"result", "ok"}}, counted.reloads);
    out.sample({{"result", "failed"}}, counted.reloads_failed);
    total("paysync_http_requests_total", "HTTP requests that were answered.", http.requests);
    total("paysync_http_connections_cut_total", "HTTP connections that took too long or were too many.",
          http.connections_cut);
}

void write_process(Exposition& out) {
    const ProcessFacts facts = read_process_facts();
    out.single("process_cpu_seconds_total", "counter", "Processor time used, user and system.", facts.cpu_seconds);
    out.single("process_resident_memory_bytes", "gauge", "Memory in use.", facts.resident_bytes);
    out.single("process_virtual_memory_bytes", "gauge", "Address space in use.", facts.virtual_bytes);
    out.single("process_open_fds", "gauge", "Open descriptors.", facts.open_descriptors);
    out.single("process_max_fds", "gauge", "Most descriptors that may be open.", facts.most_descriptors);
    out.single("process_start_time_seconds", "gauge", "When the process began, in Unix time.", facts.started);
}

}  // namespace

void Exposition::family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
    text_.append(name).append(" ").append(type).append("\n");
}

void Exposition::begin_sample(Labels labels) {
    text_ += name_;
    char before = '{';
    for (const auto& [label, value] : labels) {
        text_ += before;
        text_.append(label).append("=\"");
        append_label_value(text_, value);
        text_ += '"';
        before = ',';
    }
    if (labels.size() > 0) text_ += '}';
    text_ += ' ';
}

void Exposition::sample(Labels labels, double value) {
    begin_sample(labels);
    append_number(text_, value);
    text_ += '\n';
}

void Exposition::sample(Labels labels, uint64_t value) {
    begin_sample(labels);
    append_number(text_, value);
    text_ += '\n';
}

std::string metrics_text(const Report& report, const HttpCounters& http, Time now) {
    Exposition out;
    write_relay(out, report);
    if (report.sample) write_sample(out, *report.sample, now);
    write_counters(out, report.counters, http);
    write_process(out);
    return out.take();
}

}  // namespace paysync::relay

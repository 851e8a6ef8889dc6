// What the database's events mean for the relay: taking the lease, a new head, losing a connection, being fenced.
#include <cstdio>

#include "log.hpp"
#include "metrics.hpp"
#include "relay.hpp"
#include "version.hpp"

namespace paysync::relay {

namespace {

std::string major_minor(const std::string& version) {
    const size_t dot = version.find('.');
    return version.substr(0, dot == std::string::npos ? dot : version.find('.', dot + 1));
}

bool starts_with(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

}  // namespace

void Relay::connect_parts() {
    leader_.on_lead = [this](const LeadRow& row) { take_lead(row); };
    leader_.on_head = [this] { take_head(); };
    leader_.on_down = [this](const DatabaseError& error, bool was_up) { lose_leader(error, was_up); };
    leader_.on_refused = [this](const DatabaseError& error) { lead_refused(error); };
    leader_.on_fenced = [this](const DatabaseError& error) { fenced(error); };
    worker_.on_down = [this](const DatabaseError& error, bool was_up) { lose_worker(error, was_up); };
    leader_.next_page = [this]() -> std::optional<Worker::Job> {
        if (!may_read()) return std::nullopt;
        return delivery_.next_page_at_head(Clock::now());
    };
    leader_.page_ahead = [this](uint64_t head) -> std::optional<PageAhead> {
        if (!may_read()) return std::nullopt;
        return delivery_.page_ahead(head, Clock::now());
    };
    // While the leader's connection waits for the next tick.
    worker_.next_page = [this] { return leader_.is_due() ? std::nullopt : leader_.next_page(); };
    // Without these the head is served all the same.
    reader_.on_down = sorter_.on_down = [](const DatabaseError& error, bool was_up) {
        log_warning(was_up ? "reader_lost" : "reader_unreachable",
                    {{"sqlstate", error.sqlstate}, {"message", error.message}});
    };
    reader_.next_page = [this]() -> std::optional<Worker::Job> {
        if (!may_read()) return std::nullopt;
        return delivery_.next_page_behind(Clock::now());
    };
    sorter_.next_page = [this]() -> std::optional<Worker::Job> {
        if (!may_read()) return std::nullopt;
        return delivery_.next_page_sorted(Clock::now());
    };
    acknowledger_.on_fenced = [this](const DatabaseError& error) { fenced(error); };
    admission_.ping = [this](Session& session) { protocol_.ping(session); };
    admission_.on_open = [this](const Session& session) { acknowledger_.note_begin(session); };
    admission_.unwritten = [this](const std::string& subscriber, uint64_t revision) {
        return acknowledger_.unwritten(subscriber, revision);
    };
    admission_.on_refused = [this](const std::string& subscriber, const Refusal& refusal) {
        acknowledger_.note_error(subscriber, std::to_string(static_cast<int>(refusal.code)) + " " + refusal.message,
                                 Clock::now());
    };
    revisions_.on_stale = [this](Session& session) { end_stale(session); };
    sessions_.on_end = [this](Session& session) {
        acknowledger_.note_end(session);
        if (!session.fault.empty() && !session.ephemeral) {
            acknowledger_.note_error(session.subscriber, session.fault, Clock::now());
        }
        if (session.ephemeral && worker_.up()) worker_.submit(close_subscriber_query(session.subscriber), nullptr);
    };
}

void Relay::take_lead(const LeadRow& row) {
    if (major_minor(row.version) != major_minor(kRelayVersion)) {
        throw Failure(kExitUsage,
                      "the database's extension has version " + row.version + ", this relay " + kRelayVersion,
                      "Major and minor version must be the same.",
                      "Install matching packages, then ALTER EXTENSION paysync UPDATE.");
    }
    log_info("leading", {{"database", leader_.connection().database()}, {"epoch", row.epoch}, {"head", row.head}});
    counters.leads += 1;
    reached_ = true;
    refused_since_.reset();
    wait_logged_ = false;
    new_lead_ = row;
    history_at_ = Time{};
    // The server is there, so its other connection need not wait out its pause.
    if (worker_.connection().state() == Connection::State::kDown) {
        worker_.start(Clock::now());
    }
    if (reader_.connection().state() == Connection::State::kDown) reader_.start(Clock::now());
}

void Relay::check_history() {
    if (!new_lead_ || !worker_.up() || Clock::now() < history_at_) return;
    if (!stream_.ever_served || sessions_.empty()) {
        go_on(true);
        return;
    }
    history_at_ = Time::max();  // while the question is out
    continuity_.ask(
        stream_, [this](bool same) { go_on(same); }, [this] { history_at_ = Clock::now() + milliseconds(500); });
}

void Relay::go_on(bool same_history) {
    const LeadRow row = *new_lead_;
    new_lead_.reset();
    if (same_history) {
        // The new epoch has dropped the ephemeral subscribers, so nothing would keep what they have not read yet.
        for (auto& [id, session] : sessions_.all()) {
            if (session->ended || !session->ephemeral) continue;
            router_.send_bye(session->routing_id, session->id, 100, "the relay began a new epoch");
            sessions_.end(*session, "new epoch");
        }
    } else {
        dismiss_all("the database's history is another one", 100);
    }
    const bool keeps_head = same_history && stream_.ever_served && stream_.stream_id == row.stream_id;
    stream_.head = std::max(keeps_head ? stream_.head : 0, leader_.published());
    stream_.stream_id = row.stream_id;
    stream_.epoch = row.epoch;
    stream_.nonce = row.nonce;
    stream_.ever_served = true;
    moved_ = true;
    delivery_.restart();
    update_serving();
}

void Relay::update_serving() {
    stream_.serving = leader_.leading() && worker_.up() && !new_lead_ && phase_ == Phase::kRunning;
    if (!stream_.serving || announced_) return;
    announced_ = true;
    const std::string database = leader_.connection().database();
    // Whoever started the relay waits for this line.
    std::printf("ready database=%s endpoint=%s epoch=%llu%s\n", database.c_str(), router_.endpoint().c_str(),
                static_cast<unsigned long long>(stream_.epoch), http_ ? (" http=" + http_->address()).c_str() : "");
    std::fflush(stdout);
    log_info("ready", {{"database", database}, {"endpoint", router_.endpoint()}, {"epoch", stream_.epoch}});
    supervisor_.ready(status_text());
}

void Relay::take_head() {
    if (new_lead_ || leader_.published() <= stream_.head) return;
    stream_.head = leader_.published();
    counters.ticks += 1;
    moved_ = true;
}

void Relay::lose_leader(const DatabaseError& error, bool was_up) {
    new_lead_.reset();
    continuity_.cancel();
    counters.database_losses += was_up ? 1 : 0;
    if (!reached_ && !was_up && !starts_with(error.sqlstate, "57P")) fail_at_start(error);
    update_serving();
    log_warning(was_up ? "leader_lost" : "leader_unreachable",
                {{"sqlstate", error.sqlstate}, {"message", error.message}});
}

void Relay::lose_worker(const DatabaseError& error, bool was_up) {
    maintaining_ = false;
    counters.database_losses += was_up ? 1 : 0;
    update_serving();
    log_warning(was_up ? "worker_lost" : "worker_unreachable",
                {{"sqlstate", error.sqlstate}, {"message", error.message}});
}

// The first attempt tells a wrong configuration from a database that is away.
void Relay::fail_at_start(const DatabaseError& error) const {
    const bool is_final = error.sqlstate == "3D000" || starts_with(error.sqlstate, "28");
    throw Failure(is_final ? kExitUsage : kExitFailed, "cannot connect to the database: " + error.message, error.detail,
                  is_final ? "Check the connection string given with --dsn, PAYSYNC_DSN or in the configuration file."
                           : "Check that the server runs and that the connection string names its address.");
}

void Relay::lead_refused(const DatabaseError& error) {
    const std::string& state = error.sqlstate;
    if (state == "55P03") {
        reached_ = true;
        if (!refused_since_) refused_since_ = Clock::now();
        if (!wait_logged_) log_info("another_relay_leads", {{"message", error.message}, {"detail", error.detail}});
        wait_logged_ = true;
        return;
    }
    const bool may_pass = starts_with(state, "57P") || state == "25006";
    if (!reached_ && !may_pass) {
        if (state == "42883" || state == "3F000") {
            throw Failure(kExitUsage, "the database has no paysync: " + error.message, error.detail,
                          "CREATE EXTENSION paysync");
        }
        if (state == "42501") {
            throw Failure(kExitUsage,
                          "the role \"" + leader_.connection().role() + "\" may not relay: " + error.message,
                          error.detail, "SELECT paysync.grant_relay('" + leader_.connection().role() + "')");
        }
        throw Failure(kExitFailed, "cannot take the lease: " + error.message, error.detail, error.hint);
    }
    log_error("lead_failed",
              {{"sqlstate", state}, {"message", error.message}, {"detail", error.detail}, {"hint", error.hint}});
}

void Relay::end_stale(Session& session) {
    router_.send_error(
        session.routing_id, session.id,
        {wire::Error::kStaleSession, 0, "subscriber \"" + session.subscriber + "\" was changed in the database", "",
         "Say HELLO again."});
    sessions_.end(session, "changed in the database");
}

void Relay::fenced(const DatabaseError& error) {
    log_error("fenced", {{"epoch", stream_.epoch}, {"message", error.message}, {"detail", error.detail}});
    dismiss_all("another relay took the lease", 1000);
    failure_ = Failure(kExitFailed, "the lease was taken over: " + error.message, error.detail,
                       "Only one relay leads a database; start this one again to stand by.");
}

}  // namespace paysync::relay

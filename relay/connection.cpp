// Drives libpq's asynchronous half: connecting, flushing, consuming, collecting results.
#include "connection.hpp"

#include <poll.h>

#include <utility>

namespace paysync::relay {

namespace {

std::string trimmed(const char* text) {
    std::string out = text ? text : "";
    while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
    return out;
}

std::string field(const PGresult* result, int code) { return trimmed(PQresultErrorField(result, code)); }

DatabaseError error_of(const PGresult* result) {
    DatabaseError error{field(result, PG_DIAG_SQLSTATE), field(result, PG_DIAG_MESSAGE_PRIMARY),
                        field(result, PG_DIAG_MESSAGE_DETAIL), field(result, PG_DIAG_MESSAGE_HINT)};
    if (error.message.empty()) error.message = trimmed(PQresultErrorMessage(result));
    return error;
}

bool is_ready(int socket, short events) {
    pollfd item{socket, events, 0};
    return poll(&item, 1, 0) > 0;
}

// What the roles and databases of the world set must not reach the relay's sessions. Settings a server does not know
// are passed over.
constexpr char kSetUp[] =
    "SELECT pg_catalog.set_config(s.name, v.value, false) FROM (VALUES"
    " ('search_path', 'pg_catalog'), ('default_transaction_isolation', 'read committed'),"
    " ('default_transaction_deferrable', 'off'), ('statement_timeout', '0'), ('lock_timeout', '0'),"
    " ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'), ('transaction_timeout', '0'))"
    " AS v(name, value) JOIN pg_catalog.pg_settings s ON s.name OPERATOR(pg_catalog.=) v.name";
// SQLSTATE of a prepared statement whose result is another than when it was prepared.
constexpr char kStalePlan[] = "0A000";
// Ends the server's side within a second when this process dies, so that its lease is free. Not every platform's
// server takes it.
constexpr char kSetCheck[] = "SELECT pg_catalog.set_config('client_connection_check_interval', '1s', false)";

BothDone of_one(Done done) {
    if (!done) return nullptr;
    return [done = std::move(done)](Answer& answer, Answer&) { done(answer); };
}

}  // namespace

void Connection::connect(Time now) {
    // Before the connection string stands what it may override, behind it what it may not.
    const char* const names[] = {
        "keepalives",           "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
        "target_session_attrs", "dbname",          "application_name",    "client_encoding",  nullptr};
    const char* const values[] = {"1", "5", "2", "3", "10000", "primary", dsn_.c_str(), name_.c_str(), "UTF8", nullptr};
    begin_answers();
    done_ = nullptr;
    prepared_.clear();
    handle_.reset(PQconnectStartParams(names, values, 1));
    state_ = State::kConnecting;
    wants_write_ = true;
    wants_read_ = false;
    deadline_ = now + kConnectTimeout;
    if (!handle_ || PQstatus(handle_.get()) == CONNECTION_BAD) {
        fail(connection_error());
        return;
    }
    // While connecting, the verbose form is the only way to learn an error's SQLSTATE.
    PQsetErrorVerbosity(handle_.get(), PQERRORS_VERBOSE);
    PQsetNoticeReceiver(handle_.get(), on_notice, this);
}

int Connection::socket() const { return handle_ && state_ != State::kDown ? PQsocket(handle_.get()) : -1; }
std::string Connection::database() const { return handle_ ? trimmed(PQdb(handle_.get())) : ""; }
std::string Connection::role() const { return handle_ ? trimmed(PQuser(handle_.get())) : ""; }

void Connection::close() {
    handle_.reset();
    state_ = State::kDown;
    wants_write_ = false;
    done_ = nullptr;
}

void Connection::on_notice(void* self, const PGresult* notice) {
    const char* severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity != nullptr && std::string_view(severity) == "WARNING")
        static_cast<Connection*>(self)->answers_[0].warned = true;
}

// The text of a failed attempt is `… FATAL:  3D000: database "x" does not exist` and a line with LOCATION.
DatabaseError Connection::connection_error() const {
    DatabaseError error;
    error.message = handle_ ? trimmed(PQerrorMessage(handle_.get())) : "out of memory";
    // libpq's second line is advice, indented by a tab.
    for (size_t at = error.message.find("\n\t"); at != std::string::npos; at = error.message.find("\n\t")) {
        error.message.replace(at, 2, " ");
    }
    const auto is_state = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); };
    for (size_t at = error.message.find(":  "); at != std::string::npos; at = error.message.find(":  ", at + 1)) {
        const std::string state = error.message.substr(at + 3, 5);
        if (state.size() != 5 || !std::all_of(state.begin(), state.end(), is_state)) continue;
        if (error.message.compare(at + 8, 2, ": ") != 0) continue;
        error.sqlstate = state;
        error.message.erase(at + 2, 7);
        if (const size_t location = error.message.find("\nLOCATION:"); location != std::string::npos) {
            error.message.erase(location, error.message.find('\n', location + 1) - location);
        }
        return error;
    }
    // The client itself gave up for want of a password: as final as the server's own word.
    if (handle_ && PQconnectionNeedsPassword(handle_.get())) error.sqlstate = "28P01";
    return error;
}

void Connection::fail(const DatabaseError& error) {
    const bool was_up = is_up();
    BothDone done = std::move(done_);
    close();
    if (done) {
        Answer answer{Rows(), error, false, true};
        Answer second{Rows(), error, false, true};
        done(answer, second);
    }
    if (on_down) on_down(error, was_up);
}

void Connection::progress(Time now, bool ready) {
    switch (state_) {
        case State::kDown:
            return;
        case State::kConnecting:
            continue_connecting(now);
            return;
        case State::kSettingUp:
            if (now >= deadline_) {
                fail(DatabaseError{"", "the server did not answer within 10 s", "", ""});
                return;
            }
            if (ready || send_failed_) continue_statement();
            return;
        case State::kIdle:
        case State::kBusy:
            if (ready || send_failed_) continue_statement();
            return;
    }
}

// PQconnectPoll() must be called only when the socket is ready for what it asked for.
void Connection::continue_connecting(Time now) {
    while (is_ready(PQsocket(handle_.get()), wants_read_ ? POLLIN : POLLOUT)) {
        switch (PQconnectPoll(handle_.get())) {
            case PGRES_POLLING_READING:
                wants_read_ = true;
                break;
            case PGRES_POLLING_WRITING:
                wants_read_ = false;
                break;
            case PGRES_POLLING_OK:
                PQsetErrorVerbosity(handle_.get(), PQERRORS_DEFAULT);
                wants_write_ = false;
                if (PQsetnonblocking(handle_.get(), 1) != 0) {
                    fail(connection_error());
                    return;
                }
                set_up();
                return;
            default:
                fail(connection_error());
                return;
        }
        wants_write_ = !wants_read_;
    }
    if (now >= deadline_) fail(DatabaseError{"", "could not connect to the server within 10 s", "", ""});
}

void Connection::set_up() {
    state_ = State::kSettingUp;
    start(Query(kSetUp), [this](Answer& answer) {
        if (answer.lost) return;
        state_ = State::kSettingUp;
        if (answer.error) {
            fail(*answer.error);
            return;
        }
        start(Query(kSetCheck), [this](Answer& second) {
            if (!second.lost && on_up) on_up();
        });
    });
}

void Connection::send(const Query& query, Done done) {
    state_ = State::kBusy;
    start(query, std::move(done));
}

void Connection::send(const Query& first, const Query& second, BothDone done) {
    state_ = State::kBusy;
    begin_answers();
    for (const Query* const query : {&first, &second}) {
        if (prepared_name(*query) != nullptr) continue;
        prepare(*query, [this, first, second, done = std::move(done)](Answer& answer) {
            if (!answer.error) {
                send(first, second, done);
                return;
            }
            Answer none{Rows(), answer.error, answer.warned, true};
            done(answer, none);
        });
        return;
    }
    done_ = [this, first, second, done = std::move(done)](Answer& answer, Answer& second_answer) {
        forget_stale_plan(first, answer);
        forget_stale_plan(second, second_answer);
        done(answer, second_answer);
    };
    PGconn* const handle = handle_.get();
    dispatch(PQenterPipelineMode(handle) == 1 && first.send(handle, *prepared_name(first)) &&
             second.send(handle, *prepared_name(second)) && PQpipelineSync(handle) == 1);
}

void Connection::start(const Query& query, Done done) {
    begin_answers();
    if (!query.is_often()) {
        done_ = of_one(std::move(done));
        dispatch(query.send(handle_.get(), ""));
        return;
    }
    const std::string* const name = prepared_name(query);
    if (name == nullptr) {
        prepare(query, [this, query, done = std::move(done)](Answer& answer) {
            if (!answer.error) {
                send(query, done);
            } else if (done) {
                done(answer);
            }
        });
        return;
    }
    done_ = of_one([this, query, done = std::move(done)](Answer& answer) {
        forget_stale_plan(query, answer);
        if (done) done(answer);
    });
    dispatch(query.send(handle_.get(), *name));
}

void Connection::begin_answers() {
    answers_ = {};
    answered_ = 0;
}

const std::string* Connection::prepared_name(const Query& query) const {
    const auto known = prepared_.find(query.statement());
    return known == prepared_.end() ? nullptr : &known->second;
}

void Connection::prepare(const Query& query, Done done) {
    const std::string name = "often" + std::to_string(last_prepared_ += 1);
    done_ = of_one([this, name, statement = query.statement(), done = std::move(done)](Answer& answer) {
        if (!answer.error) prepared_[statement] = name;
        done(answer);
    });
    dispatch(query.prepare(handle_.get(), name));
}

// After another one was installed a plan may return what it did not; then it is made anew.
void Connection::forget_stale_plan(const Query& query, const Answer& answer) {
    if (answer.error && answer.error->sqlstate == kStalePlan) prepared_.erase(query.statement());
}

// A failure is told by progress(): no callback runs inside send().
void Connection::dispatch(bool sent) {
    send_failed_ = !sent;
    if (send_failed_) answers_[0].error = connection_error();
    wants_write_ = PQflush(handle_.get()) != 0;
}

bool Connection::sent_two() const { return PQpipelineStatus(handle_.get()) != PQ_PIPELINE_OFF; }

void Connection::continue_statement() {
    PGconn* const handle = handle_.get();
    // Of two statements that were not sent whole no result would ever come.
    if (PQstatus(handle) == CONNECTION_BAD || PQconsumeInput(handle) == 0 || (send_failed_ && sent_two())) {
        fail(answers_[0].error ? *answers_[0].error : connection_error());
        return;
    }
    send_failed_ = false;
    const int flushed = PQflush(handle);
    if (flushed < 0) {
        fail(connection_error());
        return;
    }
    wants_write_ = flushed > 0;
    if (state_ == State::kIdle) return;
    while (PQisBusy(handle) == 0) {
        PGresult* const result = PQgetResult(handle);
        if (result != nullptr) {
            take_result(result);
        } else if (sent_two()) {
            answered_ = std::min(answered_ + 1, answers_.size() - 1);
        } else {
            finish_statement();
            return;
        }
    }
}

void Connection::take_result(PGresult* result) {
    Rows rows(result);
    Answer& answer = answers_[answered_];
    switch (PQresultStatus(result)) {
        case PGRES_FATAL_ERROR:
        case PGRES_BAD_RESPONSE:
            answer.error = error_of(result);
            break;
        case PGRES_TUPLES_OK:
            answer.rows = std::move(rows);
            break;
        case PGRES_PIPELINE_ABORTED:
            answer.error = answers_[0].error;
            answer.lost = true;
            break;
        case PGRES_PIPELINE_SYNC:
            // Behind it there is nothing: the next result is none.
            PQexitPipelineMode(handle_.get());
            break;
        default:
            break;
    }
}

// The answer counts only now: a warning of the statement's own COMMIT comes behind its rows.
void Connection::finish_statement() {
    if (PQstatus(handle_.get()) == CONNECTION_BAD) {
        fail(answers_[0].error ? *answers_[0].error : connection_error());
        return;
    }
    std::array<Answer, 2> answers = std::move(answers_);
    begin_answers();
    answers[1].warned = answers[0].warned;
    BothDone done = std::exchange(done_, nullptr);
    state_ = State::kIdle;
    if (done) done(answers[0], answers[1]);
}

}  // namespace paysync::relay

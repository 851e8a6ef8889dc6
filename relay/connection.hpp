// One libpq connection that never blocks: it is told when its socket is ready, and says what it waits for.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "clock.hpp"
#include "query.hpp"

namespace paysync::relay {

class Connection {
public:
    enum class State { kDown, kConnecting, kSettingUp, kIdle, kBusy };

    // `name` ends up in application_name. Callbacks run inside progress(); they may send() and close().
    Connection(std::string dsn, std::string name) : dsn_(std::move(dsn)), name_(std::move(name)) {}
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    std::function<void()> on_up;                                     // connected, its settings made
    std::function<void(const DatabaseError&, bool was_up)> on_down;  // the attempt failed, or the connection broke

    // Begins to connect; only in state kDown. A host name is looked up by libpq, which blocks: name an address, or a
    // host that the machine itself knows.
    void connect(Time now);
    // Sends a statement; only in state kIdle. `done` is called exactly once, unless close() comes first.
    void send(const Query& query, Done done);
    // Sends two statements at once, both of those that come often: the server begins the second right behind the first.
    // Where one of them cannot be prepared, or the first fails, the error is told as the first one's and the second is
    // lost. A warning of either counts for both.
    void send(const Query& first, const Query& second, BothDone done);
    // Does what can be done without waiting; `ready`: poll() found something on the socket.
    void progress(Time now, bool ready);
    // Drops the connection without a callback.
    void close();

    [[nodiscard]] State state() const { return state_; }
    // Connected and set up.
    [[nodiscard]] bool is_up() const { return state_ == State::kIdle || state_ == State::kBusy; }
    // -1 where there is none. It may change while connecting.
    [[nodiscard]] int socket() const;
    [[nodiscard]] bool wants_write() const { return wants_write_; }
    // The database's name and the role, as connected.
    [[nodiscard]] std::string database() const;
    [[nodiscard]] std::string role() const;

private:
    static constexpr seconds kConnectTimeout{10};

    static void on_notice(void* self, const PGresult* notice);
    void fail(const DatabaseError& error);
    void continue_connecting(Time now);
    void set_up();
    void start(const Query& query, Done done);
    void begin_answers();
    void prepare(const Query& query, Done done);
    [[nodiscard]] const std::string* prepared_name(const Query& query) const;
    void forget_stale_plan(const Query& query, const Answer& answer);
    [[nodiscard]] bool sent_two() const;
    void take_result(PGresult* result);
    void dispatch(bool sent);
    void continue_statement();
    void finish_statement();
    [[nodiscard]] DatabaseError connection_error() const;

    std::string dsn_;
    std::string name_;
    std::unique_ptr<PGconn, decltype(&PQfinish)> handle_{nullptr, PQfinish};
    State state_ = State::kDown;
    bool wants_write_ = false;
    bool wants_read_ = false;
    bool send_failed_ = false;
    Time deadline_{};
    std::array<Answer, 2> answers_;  // the second only where two statements were sent
    size_t answered_ = 0;
    BothDone done_;
    std::map<std::string, std::string> prepared_;  // statement to its name on this connection
    uint64_t last_prepared_ = 0;
};

}  // namespace paysync::relay

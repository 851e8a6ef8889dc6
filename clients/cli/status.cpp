// `paysync status`: the views of the database, in one page or one line of JSON.
#include "status.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "database.hpp"
#include "exit_status.hpp"
#include "output.hpp"
#include "text_table.hpp"

namespace paysync::cli {

namespace {

// The views' columns under their own names.
constexpr char kJson[] =
    "SELECT jsonb_build_object('status', (SELECT to_jsonb(s) FROM paysync.status AS s),"
    " 'relays', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.role, r.since), '[]') FROM paysync.relays AS r),"
    " 'subscribers', (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.name), '[]') FROM paysync.subscribers AS s),"
    " 'segments', (SELECT coalesce(jsonb_agg(to_jsonb(g) ORDER BY g.slot), '[]') FROM paysync.segments AS g))::text";

constexpr char kStatus[] =
    "SELECT state, hint, capture, position,"
    " CASE WHEN outbox_limit > 0 THEN pg_size_pretty(outbox_bytes) || ' of ' || pg_size_pretty(outbox_limit) ||"
    " ' (' || 100 * outbox_bytes / outbox_limit || ' %), then ' || outbox_full"
    " ELSE pg_size_pretty(outbox_bytes) || ', no limit' END,"
    " coalesce(nullif(retention, '0')::text, 'until all have acknowledged'),"
    " date_trunc('second', last_tick_at)::text, unticked_transactions FROM paysync.status";

constexpr char kRelays[] =
    "SELECT role, pid, software, client, date_trunc('second', since)::text,"
    " CASE WHEN responding THEN 'yes' WHEN NOT responding THEN 'silent for ' || round(silent_seconds::numeric, 1) || ' "
    "s' END"
    " FROM paysync.relays ORDER BY role, since";

// Last what stands on a line of its own.
constexpr char kSubscribers[] =
    "SELECT name, state, date_trunc('second', state_since)::text, position, lag_transactions, "
    "pg_size_pretty(lag_bytes),"
    " round(lag_seconds::numeric, 1) || ' s', nullif(parked, 0),"
    " hint, CASE WHEN last_error_at > clock_timestamp() - interval '1 day'"
    " THEN 'last error, ' || date_trunc('second', last_error_at) || ': ' || last_error END"
    " FROM paysync.subscribers ORDER BY name";

constexpr char kSegments[] =
    "SELECT slot, state, pg_size_pretty(bytes), date_trunc('second', opened_at)::text, first_number, last_number"
    " FROM paysync.segments WHERE state <> 'free' ORDER BY generation";

constexpr char kBlockers[] =
    "SELECT coalesce(b ->> 'gid', b ->> 'pid'), b ->> 'table', date_trunc('second', (b ->> "
    "'since')::timestamptz)::text,"
    " b ->> 'what' FROM paysync.status, jsonb_array_elements(blocked_by) AS b";

volatile std::sig_atomic_t stop_requested = 0;

extern "C" void stop_watching(int /*signal*/) { stop_requested = 1; }

void handle_signals() {
    struct sigaction action {};
    action.sa_handler = stop_watching;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

std::string section(const std::string& title, const std::vector<std::string>& columns, const Rows& rows) {
    if (rows.empty()) return title + ": none\n";
    return title + "\n" + text_table(columns, rows);
}

std::string status_lines(const std::string& database, const std::vector<Cell>& row) {
    const auto text = [&row](size_t at) { return row.at(at) ? printable(*row.at(at)) : std::string("-"); };
    std::string lines = database + ": " + text(0) + "\n";
    if (row.at(1)) lines += "  " + text(1) + "\n";
    lines += "  capture: " + text(2) + "\n";
    lines += "  outbox: " + text(4) + "; kept " + text(5) + "\n";
    lines += "  head: " + text(3) + ", last tick " + text(6) + ", " + text(7) + " transactions without a number yet\n";
    return lines;
}

std::string page(Database& database) {
    const Rows status = database.query(kStatus);
    if (status.size() != 1)
        throw Error("paysync.status has " + std::to_string(status.size()) + " rows", {},
                    "It has one: see the server's log.");
    std::string text = status_lines(printable(database.name()), status[0]);
    text +=
        "\n" + section("relays", {"role", "pid", "software", "client", "since", "responds"}, database.query(kRelays));
    text += "\n" + section("subscribers", {"name", "state", "since", "position", "behind", "bytes", "age", "parked"},
                           database.query(kSubscribers));
    text += "\n" + section("segments", {"slot", "state", "size", "opened", "first", "last"}, database.query(kSegments));
    const Rows blockers = database.query(kBlockers);
    if (!blockers.empty()) text += "\n" + section("blocked by", {"pid or gid", "table", "since", "what"}, blockers);
    return text;
}

std::string shown(Database& database, const StatusFlags& flags) {
    return flags.json ? database.query(kJson).at(0).at(0).value_or("null") + "\n" : page(database);
}

void write(const std::string& text) {
    const int error = write_all(STDOUT_FILENO, text);
    if (error != 0) throw Error(std::string("cannot write: ") + std::strerror(error));
}

// What stands on the screen while the database cannot be asked.
std::string trouble(const Error& error) {
    std::string text = "cannot ask: " + printable(error.what()) + "\n";
    if (!error.hint().empty()) text += "  " + error.hint() + "\n";
    return text;
}

void wait_a_second() {
    const timespec second{1, 0};
    (void)nanosleep(&second, nullptr);
}

int watch(const StatusFlags& flags) {
    handle_signals();
    const bool is_screen = isatty(STDOUT_FILENO) != 0 && !flags.json;
    std::unique_ptr<Database> database;
    for (bool first = true; stop_requested == 0; first = false) {
        std::string text;
        try {
            if (!database) database = std::make_unique<Database>(flags.dsn);
            text = shown(*database, flags);
        } catch (const Error& error) {
            // A server that restarts is watched through it; one that was never there is an error.
            database.reset();
            if (first) throw;
            if (flags.json) {
                report(error);
            } else {
                text = trouble(error);
            }
        }
        if (is_screen) text = "\033[H\033[2J" + text;
        if (!is_screen && !flags.json && !first) text = "\n" + text;
        write(text);
        wait_a_second();
    }
    return kDone;
}

}  // namespace

CLI::App* add_status(CLI::App& app, StatusFlags& flags) {
    CLI::App* status = app.add_subcommand("status", "show how capture, relays and subscribers are; asks the database");
    status
        ->add_option("--dsn", flags.dsn,
                     "the database, as libpq has it; what it leaves out comes from libpq's environment")
        ->type_name("DSN")
        ->envname("PAYSYNC_DSN");
    status->add_flag("--watch", flags.watch, "show it anew every second");
    status->add_flag("--json", flags.json, "one line of JSON: the views status, relays, subscribers and segments");
    return status;
}

int run_status(const StatusFlags& flags) {
    if (flags.watch) return watch(flags);
    Database database(flags.dsn);
    write(shown(database, flags));
    return kDone;
}

}  // namespace paysync::cli

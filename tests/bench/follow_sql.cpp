// Consumers of peers that are read by SQL, as quick as such a one can be: libpq, prepared statements, large pages.
//
// Usage: follow_sql CONNINFO pages COUNT        the hand-written outbox from its beginning, by key
//        follow_sql CONNINFO batches COUNT QUEUE CONSUMER    PgQ's batches
//        follow_sql CONNINFO listen             LISTEN, and a SELECT of what is new; never ends
// With COUNT it ends after so many rows and prints "took ROWS NANOSECONDS", connecting included; COUNT 0 never ends.
// `listen` prints the payment's id and the monotonic clock for each row. Those that never end first print "ready".
#include <poll.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <unordered_set>

#include "monotonic.hpp"
#include "pq.hpp"

namespace {

constexpr const char* kPageRows = "10000";
constexpr auto kPollInterval = std::chrono::milliseconds(50);
// Ids are given out before COMMIT, so a row can appear behind others: the listener looks back over so many.
constexpr int64_t kLookBack = 64;

void say_ready() {
    std::puts("ready");
    std::fflush(stdout);
}

void say_took(int64_t rows, int64_t began) {
    std::printf("took %lld %lld\n", static_cast<long long>(rows), static_cast<long long>(bench::monotonic() - began));
}

// Looks at each row as an application would; returns the last row's first column.
int64_t look_at(const bench::Result& rows, int64_t last) {
    for (int row = 0; row < PQntuples(rows.get()); ++row) {
        last = bench::number(rows, row, 0);
        if (bench::value(rows, row, PQnfields(rows.get()) - 1).empty()) throw std::runtime_error("a row is empty");
    }
    return last;
}

void read_pages(const std::string& conninfo, int64_t count) {
    const int64_t began = bench::monotonic();
    const bench::Connection connection = bench::connect(conninfo);
    const bench::Prepared page(connection.get(), "page",
                               "select id, at, op, row from outbox where id > $1 order by id limit $2");
    int64_t rows = 0;
    for (int64_t last = 0; rows < count;) {
        const bench::Result found = page.run({std::to_string(last), kPageRows});
        if (PQntuples(found.get()) == 0) throw std::runtime_error("the outbox has fewer rows than it should");
        last = look_at(found, last);
        rows += PQntuples(found.get());
    }
    say_took(rows, began);
}

void read_batches(const std::string& conninfo, int64_t count, const std::string& queue, const std::string& consumer) {
    const int64_t began = bench::monotonic();
    const bench::Connection connection = bench::connect(conninfo);
    const bench::Prepared next(connection.get(), "next", "select pgq.next_batch($1, $2)");
    const bench::Prepared events(connection.get(), "events",
                                 "select ev_id, ev_time, ev_txid, ev_type, ev_extra1, ev_data "
                                 "from pgq.get_batch_events($1)");
    const bench::Prepared finish(connection.get(), "finish", "select pgq.finish_batch($1)");
    if (count == 0) say_ready();
    for (int64_t rows = 0; count == 0 || rows < count;) {
        const bench::Result batch = next.run({queue, consumer});
        if (PQgetisnull(batch.get(), 0, 0) != 0) {
            std::this_thread::sleep_for(kPollInterval);
            continue;
        }
        const std::string id(bench::value(batch, 0, 0));
        const bench::Result found = events.run({id});
        look_at(found, 0);
        rows += PQntuples(found.get());
        finish.run({id});
        if (count != 0 && rows >= count) say_took(rows, began);
    }
}

// Notes every row of the outbox that it has not seen. Lines are buffered until nothing has come for a while.
class Listener {
public:
    explicit Listener(const std::string& conninfo)
        : connection_(bench::connect(conninfo)),
          fresh_(connection_.get(), "fresh", "select id, row->>'id' from outbox where id > $1 order by id") {
        bench::execute(connection_.get(), "listen outbox");
        const bench::Result last = bench::execute(connection_.get(), "select coalesce(max(id), 0) from outbox");
        begin_ = highest_ = bench::number(last, 0, 0);
    }

    [[noreturn]] void run() {
        say_ready();
        for (;;) {
            pollfd socket{PQsocket(connection_.get()), POLLIN, 0};
            if (poll(&socket, 1, 100) == 0) {
                std::fflush(stdout);
                continue;
            }
            if (PQconsumeInput(connection_.get()) == 0) throw std::runtime_error(PQerrorMessage(connection_.get()));
            while (take_notifications()) select_fresh();
        }
    }

private:
    bool take_notifications() {
        bool any = false;
        while (std::unique_ptr<PGnotify, bench::Finish>(PQnotifies(connection_.get()))) any = true;
        return any;
    }

    void select_fresh() {
        const int64_t from = std::max(begin_, highest_ - kLookBack);
        const bench::Result rows = fresh_.run({std::to_string(from)});
        const int64_t now = bench::monotonic();
        std::unordered_set<int64_t> recent;
        for (int row = 0; row < PQntuples(rows.get()); ++row) {
            const int64_t id = bench::number(rows, row, 0);
            highest_ = std::max(highest_, id);
            recent.insert(id);
            if (seen_.contains(id)) continue;
            std::printf("%lld %lld\n", static_cast<long long>(bench::number(rows, row, 1)),
                        static_cast<long long>(now));
        }
        seen_ = std::move(recent);
    }

    bench::Connection connection_;
    bench::Prepared fresh_;
    int64_t begin_ = 0;
    int64_t highest_ = 0;
    std::unordered_set<int64_t> seen_;  // ids of the last look
};

int run(int count, char** words) {
    const std::string conninfo = words[1];
    const std::string mode = words[2];
    if (mode == "pages" && count == 4) {
        read_pages(conninfo, std::atoll(words[3]));
    } else if (mode == "batches" && count == 6) {
        read_batches(conninfo, std::atoll(words[3]), words[4], words[5]);
    } else if (mode == "listen" && count == 3) {
        Listener(conninfo).run();
    } else {
        return 2;
    }
    return 0;
}

}  // namespace

int main(int count, char** words) {
    try {
        const int status = count < 3 ? 2 : run(count, words);
        if (status != 0) {
            std::fprintf(stderr, "usage: follow_sql CONNINFO pages COUNT | batches COUNT QUEUE CONSUMER | listen\n");
        }
        return status;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

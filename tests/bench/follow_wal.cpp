// A consumer of a logical slot with pgoutput, for latencies: notes when the COMMIT of each inserted row came.
//
// Usage: follow_wal CONNINFO SLOT PUBLICATION. Prints "ready" once the stream runs, then for each row the first column
// and the monotonic clock in nanoseconds. Never ends.
#include <endian.h>
#include <poll.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "monotonic.hpp"
#include "pq.hpp"

namespace {

constexpr int kFlushAfter = 100;                    // milliseconds without anything
constexpr int64_t kStatusInterval = 1'000'000'000;  // nanoseconds
constexpr size_t kDataHeader = 25;                  // 'w', start, end, time
constexpr size_t kColumnsOfInsert = 1 + 4 + 1 + 2;  // 'I', relation, 'N', number of columns

uint64_t read_u64(const char* bytes) {
    uint64_t big;
    std::memcpy(&big, bytes, sizeof big);
    return be64toh(big);
}

void put_u64(std::string& out, uint64_t number) {
    const uint64_t big = htobe64(number);
    out.append(reinterpret_cast<const char*>(&big), sizeof big);
}

class Follower {
public:
    Follower(const std::string& conninfo, const std::string& slot, const std::string& publication)
        : connection_(bench::connect(conninfo + " replication=database")) {
        bench::execute(connection_.get(), "START_REPLICATION SLOT \"" + slot +
                                              "\" LOGICAL 0/0 (proto_version '1', publication_names '" + publication +
                                              "')");
    }

    [[noreturn]] void run() {
        std::puts("ready");
        std::fflush(stdout);
        for (;;) {
            char* raw = nullptr;
            const int length = PQgetCopyData(connection_.get(), &raw, 1);
            const std::unique_ptr<char, bench::Finish> message(raw);
            if (length > 0) {
                take({raw, static_cast<size_t>(length)});
            } else if (length == 0) {
                wait();
            } else {
                throw std::runtime_error(PQerrorMessage(connection_.get()));
            }
        }
    }

private:
    void wait() {
        if (bench::monotonic() - told_at_ > kStatusInterval) tell_status();
        pollfd socket{PQsocket(connection_.get()), POLLIN, 0};
        if (poll(&socket, 1, kFlushAfter) == 0) std::fflush(stdout);
        if (PQconsumeInput(connection_.get()) == 0) throw std::runtime_error(PQerrorMessage(connection_.get()));
    }

    void take(std::string_view message) {
        if (message[0] == 'k') {
            received_ = std::max(received_, read_u64(message.data() + 1));
            if (message.back() != 0) tell_status();
            return;
        }
        received_ = std::max(received_, read_u64(message.data() + 1));
        const std::string_view change = message.substr(kDataHeader);
        if (change[0] == 'I') {
            note_row(change.substr(kColumnsOfInsert));
        } else if (change[0] == 'C') {
            const int64_t now = bench::monotonic();
            for (const int64_t id : rows_) {
                std::printf("%lld %lld\n", static_cast<long long>(id), static_cast<long long>(now));
            }
            rows_.clear();
        }
    }

    // `columns` begins with the first one: 't', its length, its text.
    void note_row(std::string_view columns) {
        if (columns[0] != 't') throw std::runtime_error("the first column is no text");
        rows_.push_back(std::strtoll(std::string(columns.substr(5, 20)).c_str(), nullptr, 10));
    }

    void tell_status() {
        std::string reply = "r";
        for (int i = 0; i < 3; ++i) put_u64(reply, received_);
        put_u64(reply, 0);
        reply.push_back(0);
        if (PQputCopyData(connection_.get(), reply.data(), static_cast<int>(reply.size())) <= 0 ||
            PQflush(connection_.get()) != 0) {
            throw std::runtime_error(PQerrorMessage(connection_.get()));
        }
        told_at_ = bench::monotonic();
    }

    bench::Connection connection_;
    std::vector<int64_t> rows_;  // of the transaction at hand
    uint64_t received_ = 0;
    int64_t told_at_ = 0;
};

}  // namespace

int main(int count, char** words) {
    if (count != 4) {
        std::fprintf(stderr, "usage: follow_wal CONNINFO SLOT PUBLICATION\n");
        return 2;
    }
    try {
        Follower(words[1], words[2], words[3]).run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

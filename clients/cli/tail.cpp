// `paysync tail`: a line is acknowledged after it was written; what was not written is never acknowledged.
#include "tail.hpp"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>

#include "exit_status.hpp"
#include "output.hpp"
#include "paysync.hpp"

namespace paysync::cli {

namespace {

constexpr std::chrono::milliseconds kPoll{100};

volatile std::sig_atomic_t stop_requested = 0;

extern "C" void request_stop(int /*signal*/) { stop_requested = 1; }

// The first signal ends the loop between two lines; the second ends the process where it stands, for instance in a
// write that nobody reads.
void handle_signals() {
    struct sigaction action {};
    action.sa_handler = request_stop;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

// Tells each trouble once a loss of connection.
class TroubleReport {
public:
    void look(const Subscriber& subscriber) {
        const std::string trouble = subscriber.trouble();
        if (trouble.empty()) {
            told_.clear();
        } else if (told_.insert(trouble).second) {
            std::fprintf(stderr, "paysync: %s; trying again\n", trouble.c_str());
        }
    }

private:
    std::set<std::string> told_;
};

Options options_of(const TailFlags& flags) {
    Options options;
    options.relays = flags.relays;
    options.subscriber = flags.subscriber;
    options.acknowledges = !flags.no_ack;
    options.software = "paysync tail/" PAYSYNC_VERSION;
    return options;
}

}  // namespace

CLI::App* add_tail(CLI::App& app, TailFlags& flags) {
    CLI::App* tail = app.add_subcommand("tail", "print committed transactions as JSON, one a line");
    CLI::Option* subscriber = tail->add_option("--subscriber", flags.subscriber,
                                               "durable subscriber to read as; without it: from now on, ephemeral")
                                  ->type_name("NAME")
                                  ->check([](const std::string& name) {
                                      return name.empty() ? std::string("the name is empty") : std::string();
                                  });
    tail->add_flag("--no-ack", flags.no_ack, "acknowledge nothing: the subscriber's position stays where it is")
        ->needs(subscriber);
    tail->add_option("--relay", flags.relays, "endpoints of the relay and its standbys, separated by commas")
        ->type_name("ENDPOINT")
        ->delimiter(',')
        ->envname("PAYSYNC_RELAY")
        ->capture_default_str();
    tail->add_option("--count", flags.count, "end after so many transactions")
        ->type_name("N")
        ->check(CLI::PositiveNumber);
    tail->add_flag("--until-caught-up", flags.until_caught_up, "end at the head of the stream");
    return tail;
}

int run_tail(const TailFlags& flags) {
    handle_signals();
    std::unique_ptr<Subscriber> subscriber;
    try {
        subscriber = std::make_unique<Subscriber>(options_of(flags));
    } catch (const Error& error) {
        report(error);
        return kWrongUsage;
    }
    TroubleReport trouble;
    uint64_t printed = 0;
    while (stop_requested == 0) {
        const std::optional<Transaction> transaction = subscriber->receive(kPoll);
        if (transaction) {
            const int error = write_all(STDOUT_FILENO, to_json(*transaction) + "\n");
            if (error != 0) {
                std::fprintf(stderr, "paysync: cannot write transaction %s: %s\n", transaction->position.text().c_str(),
                             std::strerror(error));
                return kFailed;
            }
            if (!flags.no_ack) subscriber->acknowledge(transaction->position);
            printed += 1;
            if (printed == flags.count) break;
        }
        trouble.look(*subscriber);
        if (flags.until_caught_up && subscriber->caught_up()) break;
    }
    subscriber->stop();
    return kDone;
}

}  // namespace paysync::cli

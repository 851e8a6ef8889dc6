// `paysync tail`: a line is acknowledged after it was written; what was not written is never acknowledged.
#include "tail.hpp"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <set>

#include "exit_status.hpp"
#include "line_sink.hpp"
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
    LineSink lines(STDOUT_FILENO);
    uint64_t printed = 0;
    // A line at hand is brought to its end, as long as the relay sends it.
    while (stop_requested == 0 || (lines.in_line() && !lines.is_cut())) {
        if (subscriber->receive_into(lines, kPoll)) {
            if (!flags.no_ack) subscriber->acknowledge(lines.position());
            printed += 1;
            if (printed == flags.count) break;
        }
        trouble.look(*subscriber);
        if (flags.until_caught_up && subscriber->caught_up()) break;
    }
    subscriber->stop();
    if (!lines.in_line()) return kDone;
    std::fprintf(stderr, "paysync: transaction %s was cut off in mid-line\n", lines.position().text().c_str());
    return kFailed;
}

}  // namespace paysync::cli

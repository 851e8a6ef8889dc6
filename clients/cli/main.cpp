// The `paysync` command: one file a subcommand.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "exit_status.hpp"
#include "output.hpp"
#include "status.hpp"
#include "tail.hpp"

namespace {

int parse_and_run(int argc, char** argv) {
    using namespace paysync::cli;
    CLI::App app("follow the committed changes of a PostgreSQL database");
    app.name("paysync");
    app.set_version_flag("--version", "paysync " PAYSYNC_VERSION);
    app.require_subcommand(1);
    TailFlags tail_flags;
    CLI::App* tail = add_tail(app, tail_flags);
    tail->set_version_flag("--version", "paysync " PAYSYNC_VERSION);
    StatusFlags status_flags;
    CLI::App* status = add_status(app, status_flags);
    status->set_version_flag("--version", "paysync " PAYSYNC_VERSION);
    app.footer("Exit status: 0 done, 1 failed at run time, 2 wrong usage, 3 refused by the relay.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kDone : kWrongUsage;
    }
    return status->parsed() ? run_status(status_flags) : run_tail(tail_flags);
}

}  // namespace

int main(int argc, char** argv) {
    using namespace paysync::cli;
    try {
        return parse_and_run(argc, argv);
    } catch (const paysync::Refused& error) {
        report(error);
        return kRefused;
    } catch (const paysync::Error& error) {
        report(error);
        return kFailed;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "paysync: %s\n", error.what());
        return kFailed;
    }
}

#include "ddl/own_command.hpp"

#include "postgres.hpp"

namespace paysync {
namespace {

bool running = false;

void run(const char* command) {
    const bool before = running;
    running = true;
    PG_TRY();
    {
        if (SPI_connect() != SPI_OK_CONNECT) ereport(ERROR, (errmsg("could not connect to the query executor")));
        (void)SPI_execute(command, false, 0);
        SPI_finish();
    }
    PG_FINALLY();
    { running = before; }
    PG_END_TRY();
}

}  // namespace

bool runs_own_command() { return running; }

bool ends_own_command() {
    const bool ended = running;
    running = false;
    return ended;
}

}  // namespace paysync

extern "C" {

PG_FUNCTION_INFO_V1(paysync_own_command);

// paysync.own_command(command text) returns void.
PGDLLEXPORT Datum paysync_own_command(PG_FUNCTION_ARGS) {
    paysync::run(text_to_cstring(PG_GETARG_TEXT_PP(0)));
    PG_RETURN_VOID();
}
}

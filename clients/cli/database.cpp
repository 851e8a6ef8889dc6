// libpq, with errors as ours.
#include "database.hpp"

namespace paysync::cli {

namespace {

std::string one_line(const char* text) {
    std::string line(text);
    while (!line.empty() && line.back() == '\n') line.pop_back();
    for (char& c : line) {
        if (c == '\n') c = ' ';
    }
    return line;
}

std::string field(const PGresult* result, int code) {
    const char* const text = PQresultErrorField(result, code);
    return text == nullptr ? std::string() : text;
}

std::string hint_for(const std::string& state, std::string given) {
    if (state == "3F000" || state == "42P01" || state == "42703" || state == "42883")
        return "CREATE EXTENSION paysync, of this command's release, in the database that is asked.";
    if (state == "42501") return "A role may look after paysync.grant_monitor('ROLE').";
    return given;
}

}  // namespace

Database::Database(const std::string& dsn) : connection_(nullptr, &PQfinish) {
    // The connection string may overrule what stands before it.
    const char* const keywords[] = {"connect_timeout", "fallback_application_name", "dbname", nullptr};
    const char* const values[] = {"5", "paysync status", dsn.c_str(), nullptr};
    connection_.reset(PQconnectdbParams(keywords, values, 1));
    if (PQstatus(connection_.get()) == CONNECTION_OK) {
        // A lock that somebody holds must not keep a monitor waiting for ever; a failure shows at the first query.
        PQclear(PQexec(connection_.get(), "SET statement_timeout = '10s'"));
        return;
    }
    throw Error(one_line(PQerrorMessage(connection_.get())), {},
                "Name the database by --dsn, PAYSYNC_DSN or libpq's own environment.");
}

Rows Database::query(const std::string& sql) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection_.get(), sql.c_str()), &PQclear);
    if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) {
        const std::string message = field(result.get(), PG_DIAG_MESSAGE_PRIMARY);
        throw Error(message.empty() ? one_line(PQerrorMessage(connection_.get())) : message,
                    field(result.get(), PG_DIAG_MESSAGE_DETAIL),
                    hint_for(field(result.get(), PG_DIAG_SQLSTATE), field(result.get(), PG_DIAG_MESSAGE_HINT)));
    }
    Rows rows;
    for (int row = 0; row < PQntuples(result.get()); ++row) {
        std::vector<Cell>& cells = rows.emplace_back();
        for (int column = 0; column < PQnfields(result.get()); ++column) {
            if (PQgetisnull(result.get(), row, column) != 0) {
                cells.emplace_back(std::nullopt);
            } else {
                cells.emplace_back(PQgetvalue(result.get(), row, column));
            }
        }
    }
    return rows;
}

}  // namespace paysync::cli

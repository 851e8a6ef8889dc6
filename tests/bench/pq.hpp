// libpq for the programs of benchmarks: connections and results that free themselves, errors as exceptions.
#pragma once

#include <libpq-fe.h>

#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
    void operator()(PGresult* result) const { PQclear(result); }
    void operator()(PGnotify* notification) const { PQfreemem(notification); }
    void operator()(char* bytes) const { PQfreemem(bytes); }
};
using Connection = std::unique_ptr<PGconn, Finish>;
using Result = std::unique_ptr<PGresult, Finish>;

// Throws std::runtime_error with what libpq says.
inline Connection connect(const std::string& conninfo) {
    Connection connection(PQconnectdb(conninfo.c_str()));
    if (PQstatus(connection.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection.get()));
    return connection;
}

// A result that is rows or a completed command; anything else is thrown as std::runtime_error.
inline Result checked(PGconn* connection, PGresult* raw) {
    Result result(raw);
    const ExecStatusType status = PQresultStatus(raw);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_COPY_BOTH) {
        throw std::runtime_error(PQerrorMessage(connection));
    }
    return result;
}

inline Result execute(PGconn* connection, const std::string& statement) {
    return checked(connection, PQexec(connection, statement.c_str()));
}

// A statement that is prepared once and run often, its parameters and results as text.
class Prepared {
public:
    Prepared(PGconn* connection, std::string name, const std::string& statement)
        : connection_(connection), name_(std::move(name)) {
        checked(connection_, PQprepare(connection_, name_.c_str(), statement.c_str(), 0, nullptr));
    }
    Result run(const std::vector<std::string>& parameters) const {
        std::vector<const char*> texts;
        texts.reserve(parameters.size());
        for (const std::string& parameter : parameters) texts.push_back(parameter.c_str());
        return checked(connection_, PQexecPrepared(connection_, name_.c_str(), static_cast<int>(texts.size()),
                                                   texts.data(), nullptr, nullptr, 0));
    }

private:
    PGconn* connection_;
    std::string name_;
};

// A value of a result, valid as long as that.
inline std::string_view value(const Result& result, int row, int column) {
    return {PQgetvalue(result.get(), row, column), static_cast<size_t>(PQgetlength(result.get(), row, column))};
}

inline int64_t number(const Result& result, int row, int column) {
    return std::strtoll(PQgetvalue(result.get(), row, column), nullptr, 10);
}

}  // namespace bench

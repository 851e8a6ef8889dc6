// A connection to PostgreSQL for commands that only look.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

#include "paysync.hpp"

namespace paysync::cli {

// A query's rows as text; a NULL is nothing.
using Cell = std::optional<std::string>;
using Rows = std::vector<std::vector<Cell>>;

class Database {
public:
    // Connects. `dsn` is a libpq connection string or URI, what it leaves out comes from the environment. Throws Error.
    explicit Database(const std::string& dsn);

    // Runs one query. Throws Error, with a hint where the extension or a right is missing.
    [[nodiscard]] Rows query(const std::string& sql);

    // The name of the database.
    [[nodiscard]] std::string name() const { return PQdb(connection_.get()); }

private:
    std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

}  // namespace paysync::cli

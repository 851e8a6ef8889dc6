// A statement with its parameters, and what came back, over libpq's handles. Results are binary.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace paysync::relay {

// An SQL statement and its parameters, which travel as text under an explicit type.
class Query {
public:
    explicit Query(std::string text) : text_(std::move(text)) {}

    Query& bigint(int64_t value);
    Query& integer(int32_t value);
    Query& text(std::optional<std::string> value);
    Query& boolean(bool value);
    // 16 bytes, or none for NULL.
    Query& uuid(std::optional<std::string_view> bytes);
    Query& bigints(const std::vector<int64_t>& values);
    Query& texts(const std::vector<std::string>& values);
    Query& booleans(const std::vector<bool>& values);
    // It comes again and again: a connection has it parsed and planned once.
    Query& often() {
        often_ = true;
        return *this;
    }

    [[nodiscard]] bool is_often() const { return often_; }
    [[nodiscard]] const std::string& statement() const { return text_; }
    // Each hands it to libpq; false where the connection does not take it. `name`: as which it is, or was, prepared;
    // empty: it is sent as text.
    [[nodiscard]] bool prepare(PGconn* connection, const std::string& name) const;
    [[nodiscard]] bool send(PGconn* connection, const std::string& name) const;

private:
    Query& add(Oid type, std::optional<std::string> value);

    std::string text_;
    std::vector<Oid> types_;
    std::vector<std::optional<std::string>> values_;
    bool often_ = false;
};

// Why a statement or a connection failed. `sqlstate` is empty where the server had no say.
struct DatabaseError {
    std::string sqlstate;
    std::string message;
    std::string detail;
    std::string hint;
};

// Rows in binary format. Accessors throw std::runtime_error where a value is NULL or not of the size asked for: the
// database then is not the one that was agreed on.
class Rows {
public:
    Rows() : result_(nullptr, PQclear) {}
    explicit Rows(PGresult* result) : result_(result, PQclear) {}

    [[nodiscard]] const PGresult* get() const { return result_.get(); }
    [[nodiscard]] int count() const { return result_ ? PQntuples(result_.get()) : 0; }
    [[nodiscard]] int64_t bigint(int row, int column) const;
    [[nodiscard]] int32_t integer(int row, int column) const;
    // Text, bytea and uuid alike: a view that lives as long as the rows.
    [[nodiscard]] std::string_view bytes(int row, int column) const;
    [[nodiscard]] std::string text(int row, int column) const { return std::string(bytes(row, column)); }
    [[nodiscard]] std::vector<std::string> texts(int row, int column) const;
    [[nodiscard]] std::vector<int64_t> bigints(int row, int column) const;

private:
    std::unique_ptr<PGresult, decltype(&PQclear)> result_;
};

// The outcome of one statement.
struct Answer {
    Rows rows;
    std::optional<DatabaseError> error;
    bool warned = false;  // a notice of severity WARNING came along
    bool lost = false;    // the connection is gone, or it was not its turn; nobody knows whether it took effect
};

using Done = std::function<void(Answer&)>;
// Of two statements that were sent together.
using BothDone = std::function<void(Answer& first, Answer& second)>;

}  // namespace paysync::relay

// Positions, uuids, dates and times as text.
#include "paysync.hpp"

#include "wire/json.hpp"
#include "wire/position.hpp"

namespace paysync {

std::string Position::text() const { return std::to_string(epoch) + "." + nonce + ":" + std::to_string(number); }

std::optional<Position> Position::parse(std::string_view text) {
    wire::PositionParts parts;
    if (!wire::parse_position(text, parts)) return std::nullopt;
    return Position{parts.epoch, std::string(parts.nonce), parts.number};
}

std::string Timestamp::text() const {
    std::string text;
    wire::put_timestamp(text, microseconds, ' ', has_zone ? "+00" : "", false);
    return text;
}

std::string Date::text() const {
    std::string text;
    wire::put_date(text, days);
    return text;
}

std::string Uuid::text() const {
    std::string text;
    wire::put_uuid(text, wire::Bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    return text;
}

}  // namespace paysync

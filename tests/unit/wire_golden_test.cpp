// The golden vectors of tests/golden: every reader of the format gives the same meaning to the same bytes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "clients/cpp/batch.hpp"
#include "tests/unit/golden_shown.hpp"
#include "wire/change.hpp"
#include "wire/closing.hpp"
#include "wire/digest.hpp"
#include "wire/frame.hpp"
#include "wire/json.hpp"
#include "wire/messages.hpp"
#include "wire/streamed.hpp"

namespace paysync {
namespace {

using nlohmann::json;
using testing::show_change;
using testing::show_digest;
using testing::show_time;
using testing::to_hex;
using wire::Bytes;
using wire::Reader;

std::filesystem::path golden_folder() {
    const char* source = std::getenv("PAYSYNC_SOURCE_DIR");
    const std::filesystem::path root =
        source != nullptr ? std::filesystem::path(source) : std::filesystem::path(__FILE__).parent_path() / "../..";
    return root / "tests" / "golden";
}

std::string from_hex(const std::string& hex) {
    std::string bytes;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return bytes;
}

json text_or_null(Bytes text) { return text.empty() ? json(nullptr) : json(std::string(text)); }
json hex_or_null(Bytes bytes) { return bytes.empty() ? json(nullptr) : json(to_hex(bytes)); }

json show_channels(Bytes bytes) {
    json shown = json::array();
    Reader reader(bytes);
    uint32_t count = 0;
    if (!reader.read_array(count)) throw Error("channels");
    for (uint32_t i = 0; i < count; ++i) {
        wire::ChannelTotal total;
        if (!wire::read_channel_total(reader, total)) throw Error("channels");
        shown.push_back({{"name", std::string(total.name)},
                         {"count", std::to_string(total.count)},
                         {"digest", to_hex(total.digest)}});
    }
    return shown;
}

json read_frame(Bytes bytes) {
    wire::Frame frame;
    if (!wire::decode_frame(bytes, frame)) throw Error("frame");
    if (!wire::is_known(frame.kind) && !wire::is_optional(frame.kind)) throw Error("kind");
    static const std::map<wire::Kind, const char*> names = {
        {wire::Kind::kHello, "HELLO"}, {wire::Kind::kAck, "ACK"},       {wire::Kind::kPing, "PING"},
        {wire::Kind::kPong, "PONG"},   {wire::Kind::kBye, "BYE"},       {wire::Kind::kWelcome, "WELCOME"},
        {wire::Kind::kBatch, "BATCH"}, {wire::Kind::kShapes, "SHAPES"}, {wire::Kind::kBegin, "BEGIN"},
        {wire::Kind::kPart, "PART"},   {wire::Kind::kEnd, "END"},       {wire::Kind::kError, "ERROR"}};
    const auto name = names.find(frame.kind);
    return {{"kind", std::to_string(static_cast<unsigned>(frame.kind))},
            {"name", name == names.end() ? json(nullptr) : json(name->second)},
            {"session", std::to_string(frame.session)},
            {"a", std::to_string(frame.a)},
            {"b", std::to_string(frame.b)}};
}

json read_message(const json& file) {
    std::vector<std::string> frames;
    for (const json& frame : file["frames"]) frames.push_back(from_hex(frame.get<std::string>()));
    json shown = read_frame(frames.at(0));
    wire::Frame frame;
    if (!wire::decode_frame(frames[0], frame) || !wire::frames_fit(frame.kind, frames.size())) throw Error("frames");
    shown["body"] = frames.size() == 2 ? json(to_hex(frames[1])) : json(nullptr);
    return shown;
}

json read_hello(Bytes bytes) {
    wire::Hello hello;
    if (!wire::read_hello(bytes, hello)) throw Error("hello");
    return {{"lowest", std::to_string(hello.lowest_version)},
            {"highest", std::to_string(hello.highest_version)},
            {"stream_id", hex_or_null(hello.stream_id)},
            {"position", text_or_null(hello.position)},
            {"window", std::to_string(hello.window)},
            {"software", std::string(hello.software)},
            {"obeys_rewinds", hello.obeys_rewinds}};
}

json read_welcome(Bytes bytes) {
    wire::Welcome welcome;
    if (!wire::read_welcome(bytes, welcome)) throw Error("welcome");
    json channels = json::array();
    Reader reader(welcome.channels);
    uint32_t count = 0;
    EXPECT_TRUE(reader.read_array(count));
    for (uint32_t i = 0; i < count; ++i) {
        Bytes channel;
        EXPECT_TRUE(reader.read_str(channel));
        channels.push_back(std::string(channel));
    }
    json skipped = json::array();
    Reader numbers(welcome.skipped);
    count = 0;
    EXPECT_TRUE(welcome.skipped.empty() || numbers.read_array(count));
    for (uint32_t i = 0; i < count; ++i) {
        uint64_t number = 0;
        EXPECT_TRUE(numbers.read_uint(number));
        skipped.push_back(std::to_string(number));
    }
    return {{"version", std::to_string(welcome.version)},
            {"stream_id", to_hex(welcome.stream_id)},
            {"epoch", std::to_string(welcome.epoch)},
            {"nonce", std::string(welcome.nonce)},
            {"channels", channels},
            {"subscriber", std::string(welcome.subscriber)},
            {"position", std::string(welcome.start)},
            {"rewound", text_or_null(welcome.rewound)},
            {"skipped", skipped}};
}

json read_begin(Bytes bytes) {
    wire::Begin begin;
    if (!wire::read_begin(bytes, begin)) throw Error("begin");
    return {{"prev", std::to_string(begin.prev)},
            {"number", std::to_string(begin.number)},
            {"epoch", std::to_string(begin.epoch)},
            {"nonce", std::string(begin.nonce)},
            {"xid", std::to_string(begin.xid)},
            {"time", show_time(begin.time, true)},
            {"origin", begin.has_origin ? json(std::string(begin.origin)) : json(nullptr)},
            {"context", begin.has_context ? json(std::string(begin.context)) : json(nullptr)},
            {"total", std::to_string(begin.total)},
            {"channels", show_channels(begin.channels)},
            {"bytes", std::to_string(begin.bytes)}};
}

json read_part(Bytes bytes) {
    wire::Part part;
    if (!wire::read_part(bytes, part)) throw Error("part");
    return {{"index", std::to_string(part.index)}, {"unfinished", part.unfinished}, {"data", to_hex(part.data)}};
}

json read_error(Bytes bytes) {
    wire::ErrorText text;
    if (!wire::read_error(bytes, text)) throw Error("error");
    return {
        {"message", std::string(text.message)}, {"detail", std::string(text.detail)}, {"hint", std::string(text.hint)}};
}

json read_bye(Bytes bytes) {
    wire::ErrorText text;
    if (!wire::read_error(bytes, text)) throw Error("bye");
    return {{"reason", std::string(text.message)}};
}

json read_shapes(Bytes bytes) {
    Shapes shapes;
    parse_shapes(bytes, shapes);
    json list = json::array();
    for (const auto& [id, table] : shapes) {
        json columns = json::array();
        for (const Column& column : table->columns)
            columns.push_back({{"name", column.name},
                               {"type", column.type},
                               {"form", std::to_string(static_cast<int>(column.form) + (column.is_array ? 16 : 0))},
                               {"number", std::to_string(column.number)}});
        json key = json::array();
        for (const uint32_t column : table->key) key.push_back(std::to_string(column));
        list.push_back({{"id", std::to_string(id)},
                        {"schema", table->schema},
                        {"table", table->name},
                        {"channel", table->channel},
                        {"columns", columns},
                        {"key", key}});
    }
    // The library keeps a set of them, the file has them in the order of the bytes.
    std::sort(list.begin(), list.end());
    return {{"shapes", list}};
}

// One change goes through the library as the only one of a transaction.
json read_change(Bytes bytes, const Shapes& shapes) {
    Reader reader(bytes);
    wire::Change change;
    if (!wire::read_change(reader, change) || !reader.at_end()) throw Error("change");
    if (change.operation != wire::Operation::kEvent && !shapes.contains(change.shape)) throw Error("shape");
    RawTransaction raw;
    raw.data = bytes;
    return show_change(decode(raw, shapes, nullptr).changes.at(0));
}

json read_batch(Bytes bytes, const Shapes& shapes) {
    const Batch batch = parse_batch(bytes);
    json list = json::array();
    for (const RawTransaction& raw : batch.transactions) {
        verify(raw, shapes);
        const Transaction transaction = decode(raw, shapes, nullptr);
        json changes = json::array();
        for (const Change& change : transaction.changes) changes.push_back(show_change(change));
        list.push_back({{"position", transaction.position.text()},
                        {"number", std::to_string(transaction.position.number)},
                        {"xid", std::to_string(transaction.xid)},
                        {"time", show_time(transaction.time, true)},
                        {"origin", transaction.origin ? json(*transaction.origin) : json(nullptr)},
                        {"context", transaction.context ? json(*transaction.context) : json(nullptr)},
                        {"total", std::to_string(transaction.total_changes)},
                        {"channels", show_channels(raw.channels)},
                        {"changes", changes}});
    }
    return {{"prev", std::to_string(batch.previous)},
            {"last", std::to_string(batch.last.number)},
            {"epoch", std::to_string(batch.last.epoch)},
            {"nonce", batch.last.nonce},
            {"transactions", list}};
}

json read_closing(Bytes bytes) {
    wire::Closing closing;
    if (!wire::read_closing(bytes, closing)) throw Error("closing");
    json shapes = nullptr;
    if (!closing.shapes.empty()) {
        shapes = json::array();
        Reader reader(closing.shapes);
        uint32_t count = 0;
        EXPECT_TRUE(reader.read_array(count));
        for (uint32_t i = 0; i < count; ++i) {
            uint64_t id = 0;
            EXPECT_TRUE(reader.read_uint(id));
            shapes.push_back(std::to_string(id));
        }
    }
    return {{"format", std::to_string(wire::kOutboxFormat)},
            {"time", show_time(closing.time, true)},
            {"origin", closing.has_origin ? json(std::string(closing.origin)) : json(nullptr)},
            {"context", closing.has_context ? json(std::string(closing.context)) : json(nullptr)},
            {"flags", std::to_string(closing.flags)},
            {"parts", std::to_string(closing.parts)},
            {"bytes", std::to_string(closing.bytes)},
            {"changes", std::to_string(closing.changes)},
            {"digest", show_digest(closing.digest)},
            {"manifest_parts", std::to_string(closing.manifest_parts)},
            {"channels", closing.channels.empty() ? json(nullptr) : show_channels(closing.channels)},
            {"shapes", shapes},
            {"tail", to_hex(closing.tail)}};
}

json read_as(const json& file, Bytes bytes) {
    const std::string kind = file["kind"].get<std::string>();
    Shapes shapes;
    const std::string described = file.contains("shapes") ? from_hex(file["shapes"].get<std::string>()) : std::string();
    if (!described.empty()) parse_shapes(described, shapes);
    if (kind == "frame") return read_frame(bytes);
    if (kind == "message") return read_message(file);
    if (kind == "hello") return read_hello(bytes);
    if (kind == "welcome") return read_welcome(bytes);
    if (kind == "begin") return read_begin(bytes);
    if (kind == "part") return read_part(bytes);
    if (kind == "error") return read_error(bytes);
    if (kind == "bye") return read_bye(bytes);
    if (kind == "shapes") return read_shapes(bytes);
    if (kind == "change") return read_change(bytes, shapes);
    if (kind == "batch") return read_batch(bytes, shapes);
    if (kind == "closing") return read_closing(bytes);
    throw std::logic_error("unknown kind of golden vector \"" + kind + "\"");
}

TEST(WireGolden, EveryVectorMeansWhatItsFileSays) {
    // Rule: a vector is read as its file says; one that must be refused is refused, by an error and nothing else.
    size_t read = 0;
    size_t refused = 0;
    for (const auto& entry : std::filesystem::directory_iterator(golden_folder())) {
        if (entry.path().extension() != ".json") continue;
        SCOPED_TRACE(entry.path().filename().string());
        json file = json::parse(std::ifstream(entry.path()));
        const std::string bytes = file.contains("hex") ? from_hex(file["hex"].get<std::string>()) : std::string();
        if (file["decoded"].is_null()) {
            EXPECT_THROW(read_as(file, bytes), Error);
            refused += 1;
            continue;
        }
        json& expected = file["decoded"];
        if (expected.contains("shapes") && expected["shapes"].is_array() && expected.size() == 1)
            std::sort(expected["shapes"].begin(), expected["shapes"].end());
        try {
            EXPECT_EQ(read_as(file, bytes).dump(1), expected.dump(1));
        } catch (const Error& error) {
            ADD_FAILURE() << error.what();
        }
        read += 1;
    }
    EXPECT_GE(read, 60U);
    EXPECT_GE(refused, 120U);
}

TEST(WireGolden, EveryChangeHasItsLine) {
    // Rule: what can be read can be shown, on one line of JSON, with the operation and the columns that the file says.
    size_t shown = 0;
    for (const auto& entry : std::filesystem::directory_iterator(golden_folder())) {
        if (!entry.path().filename().string().starts_with("change_")) continue;
        SCOPED_TRACE(entry.path().filename().string());
        const json file = json::parse(std::ifstream(entry.path()));
        const std::string bytes = from_hex(file["hex"].get<std::string>());
        Shapes shapes;
        parse_shapes(from_hex(file["shapes"].get<std::string>()), shapes);
        RawTransaction raw;
        raw.data = bytes;
        const std::string line = to_json(decode(raw, shapes, nullptr));
        EXPECT_EQ(line.find('\n'), std::string::npos);
        const json change = json::parse(line)["changes"][0];
        EXPECT_EQ(change["op"], file["decoded"]["op"]);
        const bool is_alter = change["op"] == "alter";
        const json columns = change.value(is_alter ? "values" : "new", json());
        const json expected = file["decoded"].value(is_alter ? "values" : "new", json());
        EXPECT_EQ(columns.size(), expected.size());
        for (const auto& [name, value] : expected.items()) EXPECT_EQ(columns[name].is_null(), value.is_null()) << name;
        shown += 1;
    }
    EXPECT_GE(shown, 35U);
}

}  // namespace
}  // namespace paysync

// Transactions in parts from a relay that breaks the rules: it is an error, at once, and nothing of it counts.
#include <gtest/gtest.h>

#include "clients/cpp/streamed.hpp"
#include "tests/unit/client_recording_sink.hpp"

namespace paysync {
namespace {

using namespace testing;

using Misbehave = std::function<void(FakeRelay&)>;

// What a sink heard of it, and the error that ended the subscription.
struct Outcome {
    Words words;
    std::string error;
};

Outcome outcome_of(const Misbehave& misbehave, uint64_t version = 2, uint64_t window = wire::kDefaultWindow) {
    FakeRelay relay;
    relay.version = version;
    Options options = options_for(relay);
    options.window = window;
    Subscriber subscriber(options);
    relay.greet(0, 2);
    RecordingSink sink;
    Outcome outcome;
    try {
        misbehave(relay);
        for (int i = 0; i < 100; ++i) {
            (void)subscriber.receive_into(sink, milliseconds(100));
            for (const std::string& word : sink.words()) outcome.words.push_back(word);
        }
    } catch (const Error& error) {
        outcome.error = error.what();
    }
    for (const std::string& word : sink.words()) outcome.words.push_back(word);
    return outcome;
}

// It must be an error that says `what`; a transaction that has begun is aborted, once, and never committed.
void expect_refused(const std::string& what, const Misbehave& misbehave, uint64_t version = 2,
                    uint64_t window = wire::kDefaultWindow) {
    const Outcome outcome = outcome_of(misbehave, version, window);
    EXPECT_NE(outcome.error.find(what), std::string::npos) << what << " is not in: " << outcome.error;
    const auto said = [&](const std::string& word) {
        return std::count_if(outcome.words.begin(), outcome.words.end(),
                             [&](const std::string& heard) { return heard.starts_with(word); });
    };
    EXPECT_EQ(said("commit"), 0) << what;
    EXPECT_EQ(said("abort"), said("begin")) << what;
}

TEST(ClientHostile, PiecesOutOfPlace) {
    // Rule: between BEGIN and END come the parts of that transaction and nothing else of the stream.
    expect_refused("a part outside", [](FakeRelay& relay) { relay.part(1, 0, insert(1)); });
    expect_refused("has not begun", [](FakeRelay& relay) { relay.end(1); });
    expect_refused("begins inside", [](FakeRelay& relay) {
        relay.begin(three(1), 0);
        relay.begin(three(1), 0);
    });
    expect_refused("batch inside", [](FakeRelay& relay) {
        relay.begin(three(1), 0);
        relay.batch(0, 1, {1});
    });
    expect_refused("shapes inside", [](FakeRelay& relay) {
        relay.begin(three(1), 0);
        relay.shapes();
    });
    expect_refused("part of another", [](FakeRelay& relay) {
        relay.begin(three(1), 0);
        relay.part(2, 0, insert(1));
    });
    expect_refused("end of another", [](FakeRelay& relay) {
        relay.begin(three(1), 0);
        relay.part(1, 0, three(1).data());
        relay.end(2);
    });
    expect_refused(
        "in a session of version 1", [](FakeRelay& relay) { relay.begin(three(1), 0); }, 1);
    expect_refused("different numbers", [](FakeRelay& relay) {
        const std::string body = three(1).begin_body(0);
        relay.sent += body.size();
        relay.send(Kind::kBegin, relay.sent, 2, body);
    });
}

TEST(ClientHostile, OtherThanAnnounced) {
    // Rule: counts, digests and lengths are those of BEGIN: less, more and other are never committed.
    expect_refused("not what was captured", [](FakeRelay& relay) {
        relay.begin(three(1), 0);
        relay.part(1, 0, insert(1) + insert(2));
        relay.end(1);
    });
    expect_refused("not what was captured", [](FakeRelay& relay) {
        relay.begin(three(1), 0);
        relay.part(1, 0, insert(1) + insert(2) + insert(4));
        relay.end(1);
    });
    expect_refused("not what was captured", [](FakeRelay& relay) {
        Streamed wrong = three(1);
        wrong.spoil_digest = true;
        relay.streamed(wrong, 0);
    });
    expect_refused("not what was captured", [](FakeRelay& relay) {
        Streamed longer = three(1);
        longer.changes.resize(2);
        longer.bytes_less = ~uint64_t{0} - 1000;  // it announces 1001 bytes more than there are
        relay.begin(longer, 0);
        relay.part(1, 0, insert(1) + insert(2));
        relay.part(1, 1, insert(3));
    });
    expect_refused("malformed change", [](FakeRelay& relay) {
        Streamed shorter = three(1);
        shorter.bytes_less = 1;
        relay.streamed(shorter, 0);
    });
    expect_refused("not described", [](FakeRelay& relay) {
        relay.begin(three(1), 0);
        std::string other = insert(1);
        other[2] = 8;  // the shape
        relay.part(1, 0, other);
    });
    expect_refused("not what was captured", [](FakeRelay& relay) {
        relay.begin({.number = 1, .changes = {insert(1), insert(2), insert(3)}}, 0);
        relay.part(1, 0, packed([](Packer& packer) {
                             packer.pack_array(7).pack(4);
                             pack_text(packer, "other");
                             packer.pack(0);
                             for (const char* text : {"t", "k", "{}", "{}"}) pack_text(packer, text);
                         }).substr(0, 14),
                   true);
    });
}

TEST(ClientHostile, MalformedParts) {
    // Rule: a part is 1 byte to 256 KiB, and its flag says where it ends.
    const auto raw_part = [](const std::string& body) {
        return [body](FakeRelay& relay) {
            relay.begin({.number = 1, .changes = {insert(1, std::string(600000, 'x')), insert(2)}}, 0);
            relay.sent += body.size();
            relay.send(Kind::kPart, relay.sent, 1, body);
        };
    };
    const std::string large = insert(1, std::string(600000, 'x'));
    expect_refused("malformed part", raw_part(part_body(0, "")));
    expect_refused("malformed part", raw_part(part_body(0, large.substr(0, wire::kMaxPartBytes + 1), true)));
    expect_refused("malformed part", raw_part("\x93"));
    expect_refused("malformed part", raw_part("\xdd\xff\xff\xff\xff"));
    expect_refused("ends inside of a change", raw_part(part_body(0, large.substr(0, 1000))));
    expect_refused("ends with a whole change", raw_part(part_body(0, insert(2), true)));
    expect_refused("malformed change", raw_part(part_body(0, "\xc1", true)));
    expect_refused("malformed change",
                   raw_part(part_body(0, std::string("\x94\x00\x07\x00\xdd\xff\xff\xff\xff", 9), true)));
}

TEST(ClientHostile, MalformedBeginning) {
    // Rule: a beginning that contradicts itself is refused before anybody hears of it.
    const auto spoiled = [](const std::function<void(Streamed&)>& spoil) {
        return [spoil](FakeRelay& relay) {
            Streamed streamed = three(1);
            spoil(streamed);
            relay.begin(streamed, 0);
        };
    };
    expect_refused("malformed beginning", spoiled([](Streamed& streamed) { streamed.epoch = 0; }));
    expect_refused("malformed beginning", [](FakeRelay& relay) {
        const std::string body = "\x9b\x00";
        relay.sent += body.size();
        relay.send(Kind::kBegin, relay.sent, 1, body);
    });
    expect_refused("malformed beginning", [](FakeRelay& relay) {
        Streamed covers_nothing = three(1);
        const std::string body = covers_nothing.begin_body(1);
        relay.sent += body.size();
        relay.send(Kind::kBegin, relay.sent, 1, body);
    });
}

TEST(ClientHostile, PartsWithoutCredit) {
    // Rule: parts are sent within the window, or they would fill the memory.
    expect_refused(
        "more than it was granted",
        [](FakeRelay& relay) {
            Streamed wide{.number = 1, .changes = {}};
            for (int64_t id = 1; id <= 60; ++id) wide.changes.push_back(insert(id, std::string(20000, 'a')));
            try {
                relay.streamed(wide, 0);
            } catch (const zmq::error_t& error) {
                ASSERT_EQ(error.num(), EHOSTUNREACH);
            }
        },
        2, 64 * 1024);
}

TEST(ClientHostile, AChangeHasAnEnd) {
    // Rule: a change that never ends is given up at a length that no row has, whatever is announced.
    RawTransaction raw;
    raw.position = Position{3, kNonce, 1};
    raw.total = 1;
    raw.bytes = uint64_t{1} << 40;
    const std::string channels = packed([](Packer& packer) {
        packer.pack_array(1).pack_array(3);
        pack_text(packer, "default");
        packer.pack(1);
        pack_binary(packer, std::string(16, 'x'));
    });
    raw.channels = channels;
    StreamedCheck check(raw, nullptr);
    Shapes shapes;
    parse_shapes(shapes_body(), shapes);
    const std::string data(wire::kMaxPartBytes, '\x01');
    // An insert whose text claims 4 thousand million bytes.
    const std::string head("\x94\x00\x07\x00\x92\x01\xdb\xff\xff\xff\xff", 11);
    (void)check.add(wire::Part{0, true, head}, shapes);
    const auto go_on = [&] {
        for (uint64_t taken = 0; taken < 2 * kMaxChangeBytes; taken += data.size())
            (void)check.add(wire::Part{check.index(), true, data}, shapes);
    };
    EXPECT_THROW(go_on(), Error);
    EXPECT_LE(check.index() * data.size(), kMaxChangeBytes + 2 * data.size());
}

}  // namespace
}  // namespace paysync

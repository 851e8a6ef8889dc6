// A sink that writes down what it is told, as one word a call, and can be made to throw.
#pragma once

#include <stdexcept>

#include "tests/unit/client_scenario.hpp"

namespace paysync::testing {

class RecordingSink : public TransactionSink {
public:
    void begin(const TransactionHead& head) override {
        position = head.position;
        last_head = head;
        say("begin " + std::to_string(head.position.number));
    }
    void changes(std::span<Change> changes) override {
        std::string word = "changes";
        for (const Change& change : changes) word += " " + std::to_string(std::get<int64_t>(change.new_values.at(0)));
        say(word);
    }
    void commit() override { say("commit"); }
    void abort() override { say("abort"); }

    // What was said since the last call.
    std::vector<std::string> words() { return std::exchange(words_, {}); }

    Position position;
    TransactionHead last_head;
    std::string throws_at;  // once
    std::function<void()> before_commit;

private:
    void say(const std::string& word) {
        if (word == "commit" && before_commit) before_commit();
        words_.push_back(word);
        if (word != throws_at) return;
        throws_at.clear();
        throw std::runtime_error("the sink fails at " + word);
    }

    std::vector<std::string> words_;
};

using Words = std::vector<std::string>;

// Calls receive_into() until the sink has said so many words, at least.
inline Words take_words(Subscriber& subscriber, RecordingSink& sink, size_t count) {
    Words words;
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (words.size() < count && std::chrono::steady_clock::now() < end) {
        (void)subscriber.receive_into(sink, milliseconds(20));
        for (const std::string& word : sink.words()) words.push_back(word);
    }
    return words;
}

inline Streamed three(uint64_t number) { return {.number = number, .changes = {insert(1), insert(2), insert(3)}}; }

}  // namespace paysync::testing

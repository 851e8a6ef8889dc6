// Cuts a streamed transaction to a subscriber's channels and into parts, as its bytes come from the outbox, and
// compares it with what was recorded (docs/wire.md §8). It holds what is not sent yet, and the head of one change.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "selection.hpp"
#include "tally.hpp"
#include "transaction.hpp"
#include "wire/change_scanner.hpp"
#include "wire/streamed.hpp"

namespace paysync::relay {

class PartCutter {
public:
    // `transaction` is one that is streamed.
    PartCutter(TransactionPtr transaction, Selection selection);

    // Takes the next bytes of its changes, all channels. False where they are not what was recorded.
    [[nodiscard]] bool add(wire::Bytes bytes);
    // All have come. False where they are not what was recorded: END must not be sent.
    [[nodiscard]] bool finish();
    // Why add() or finish() gave false.
    [[nodiscard]] const std::string& fault() const { return fault_; }
    // Alters so far that come from a shape of a channel which the subscriber does not take.
    [[nodiscard]] const std::vector<ForeignShape>& foreign() const { return foreign_; }

    // Whether a part is ready, or everything went out as parts.
    [[nodiscard]] bool has_part() const { return !parts_.empty(); }
    [[nodiscard]] bool is_done() const { return finished_ && parts_.empty(); }
    // The next part, ready to be packed; its data is good until the next call of add() or drop_part().
    [[nodiscard]] wire::Part part() const;
    void drop_part();

    // Bytes held that are not sent yet.
    [[nodiscard]] size_t held() const { return mine_.size() - sent_; }

private:
    struct End {
        size_t at;  // in `mine_`
        bool unfinished;
    };

    [[nodiscard]] bool take_head();
    [[nodiscard]] bool take_end();
    void close_parts(size_t end);
    bool fail(std::string fault);

    TransactionPtr transaction_;
    Selection selection_;
    wire::ChangeScanner scanner_;
    Tally tally_;
    uint64_t scanned_ = 0;  // bytes of all channels
    std::string channel_;   // of the present change
    std::vector<ForeignShape> foreign_;
    std::string fault_;
    bool finished_ = false;

    std::string mine_;       // changes of the subscriber's channels from `sent_` on, and the head of one that may be
    size_t sent_ = 0;        // up to here they went out
    bool is_mine_ = true;    // the present change, as far as is known
    size_t change_at_ = 0;   // where it begins in `mine_`
    size_t part_at_ = 0;     // where the part begins that is being filled
    std::deque<End> parts_;  // ready
    uint64_t index_ = 0;     // of the next part
};

}  // namespace paysync::relay

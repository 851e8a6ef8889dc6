// Bytes go straight from the outbox into what is sent; a change of another channel is taken back once its head is read.
#include "part_cutter.hpp"

#include "inspection.hpp"

namespace paysync::relay {

using Found = wire::ChangeScanner::Found;

PartCutter::PartCutter(TransactionPtr transaction, Selection selection)
    : transaction_(std::move(transaction)),
      selection_(std::move(selection)),
      scanner_(transaction_->streamed->bytes),
      tally_(*transaction_) {}

bool PartCutter::fail(std::string fault) {
    fault_ = std::move(fault);
    return false;
}

bool PartCutter::add(wire::Bytes bytes) {
    // What went out is let go of, at a page's pace.
    if (sent_ > 0) {
        mine_.erase(0, sent_);
        change_at_ -= std::min(change_at_, sent_);
        part_at_ -= sent_;
        for (End& end : parts_) end.at -= sent_;
        sent_ = 0;
    }
    while (true) {
        const wire::Bytes before = bytes;
        const Found found = scanner_.scan(bytes);
        const size_t used = before.size() - bytes.size();
        if (is_mine_) mine_.append(before.substr(0, used));
        scanned_ += used;
        switch (found) {
            case Found::kBad:
                return fail("Before byte " + std::to_string(scanned_) + " stands no change.");
            case Found::kHead:
                if (!take_head()) return false;
                break;
            case Found::kEnd:
                if (!take_end()) return false;
                break;
            case Found::kNothing:
                if (is_mine_) close_parts(change_at_);
                return true;
        }
    }
}

bool PartCutter::take_head() {
    if (scanner_.operation() == wire::Operation::kEvent) {
        channel_ = scanner_.channel();
    } else {
        const ShapePtr* const shape = find_shape(*transaction_, scanner_.shape());
        if (shape == nullptr) {
            return fail("A change before byte " + std::to_string(scanned_) + " has shape " +
                        std::to_string(scanner_.shape()) + ", which was not recorded with it.");
        }
        channel_ = (*shape)->channel;
    }
    is_mine_ = selection_.takes(channel_);
    if (!is_mine_) {
        mine_.resize(change_at_);
        return true;
    }
    if (scanner_.operation() != wire::Operation::kAlter) return true;
    const ShapePtr* const previous = find_shape(*transaction_, scanner_.previous());
    if (previous == nullptr) {
        return fail("An alter before byte " + std::to_string(scanned_) + " comes from shape " +
                    std::to_string(scanner_.previous()) + ", which was not recorded with it.");
    }
    if (!selection_.takes((*previous)->channel)) foreign_.push_back({channel_, *previous});
    return true;
}

bool PartCutter::take_end() {
    if (!tally_.add(channel_, scanner_.digest())) {
        return fail("A change before byte " + std::to_string(scanned_) + " is of channel \"" + channel_ +
                    "\", of which none was recorded.");
    }
    if (is_mine_) {
        close_parts(change_at_);
        change_at_ = mine_.size();
    }
    // Of the next one nothing is known yet.
    is_mine_ = true;
    return true;
}

// `end`: where the last whole change ends. A part ends there as soon as the next change does not fit in; only a change
// that is longer than a part is cut itself.
void PartCutter::close_parts(size_t end) {
    while (mine_.size() - part_at_ > wire::kMaxPartBytes) {
        const bool cuts = end <= part_at_;
        part_at_ = cuts ? part_at_ + wire::kMaxPartBytes : end;
        parts_.push_back({part_at_, cuts});
    }
}

bool PartCutter::finish() {
    if (scanned_ != transaction_->streamed->bytes || !scanner_.at_boundary()) {
        return fail("The outbox holds " + std::to_string(scanned_) + " bytes of it, its closing record says " +
                    std::to_string(transaction_->streamed->bytes) + ".");
    }
    if (!tally_.agrees(transaction_->streamed->digest)) {
        return fail("Counts or digests of its changes differ from its closing record.");
    }
    if (mine_.size() > part_at_) parts_.push_back({mine_.size(), false});
    part_at_ = mine_.size();
    finished_ = true;
    return true;
}

wire::Part PartCutter::part() const {
    const End& end = parts_.front();
    return {index_, end.unfinished, wire::Bytes(mine_).substr(sent_, end.at - sent_)};
}

void PartCutter::drop_part() {
    sent_ = parts_.front().at;
    parts_.pop_front();
    index_ += 1;
}

}  // namespace paysync::relay

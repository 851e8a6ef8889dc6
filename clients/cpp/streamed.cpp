// Parts of a streamed transaction against what its BEGIN announced.
#include "streamed.hpp"

namespace paysync {

using wire::Bytes;
using wire::ChangeScanner;

StreamedCheck::StreamedCheck(RawTransaction raw, std::shared_ptr<const void> storage)
    : raw_(std::move(raw)), storage_(std::move(storage)), announced_(announced(raw_)), scanner_(raw_.bytes) {
    uint64_t left = raw_.total;
    for (const auto& [channel, share] : announced_) {
        if (share.count > left) not_as_captured(raw_.position);
        left -= share.count;
        // No other channel can come: a part that names one is wrong at once.
        found_.emplace(channel, Share{});
    }
    share_ = found_.end();
}

StreamedPart StreamedCheck::add(const wire::Part& part, const Shapes& shapes) {
    StreamedPart taken{part.data};
    Bytes rest = part.data;
    for (;;) {
        const size_t before = rest.size();
        const ChangeScanner::Found found = scanner_.scan(rest);
        change_bytes_ += before - rest.size();
        if (found == ChangeScanner::Found::kBad) malformed("change in transaction " + raw_.position.text());
        if (change_bytes_ > kMaxChangeBytes) {
            throw Error("a change in transaction " + raw_.position.text() + " is longer than " +
                            std::to_string(kMaxChangeBytes) + " bytes",
                        "No row of PostgreSQL is.");
        }
        if (found == ChangeScanner::Found::kNothing) break;
        if (found == ChangeScanner::Found::kHead) {
            begin_change(shapes);
        } else {
            end_change();
            taken.last_end = part.data.size() - rest.size();
            if (taken.first_end == 0) taken.first_end = taken.last_end;
        }
    }
    if (part.unfinished == scanner_.at_boundary()) {
        throw Error("the relay broke the protocol: part " + std::to_string(index_) + " of transaction " +
                    raw_.position.text() +
                    (part.unfinished ? " ends with a whole change" : " ends inside of a change"));
    }
    index_ += 1;
    return taken;
}

void StreamedCheck::begin_change(const Shapes& shapes) {
    if (scanner_.operation() == wire::Operation::kEvent) {
        shape_ = 0;
        share_ = found_.find(scanner_.channel());
    } else if (scanner_.shape() != shape_) {
        shape_ = scanner_.shape();
        share_ = found_.find(described(raw_.position, shapes, shape_)->channel);
    }
    if (scanner_.operation() == wire::Operation::kAlter) (void)described(raw_.position, shapes, scanner_.previous());
    if (share_ == found_.end() || share_->second.count == announced_.at(share_->first).count)
        not_as_captured(raw_.position);
}

void StreamedCheck::end_change() {
    share_->second.count += 1;
    share_->second.digest += scanner_.digest();
    change_bytes_ = 0;
}

void StreamedCheck::finish() const {
    if (!scanner_.at_boundary() || found_ != announced_) not_as_captured(raw_.position);
}

}  // namespace paysync

// A page that is asked for together with the tick that it stands behind.
#include <gtest/gtest.h>

#include "relay/stream_reader.hpp"

namespace paysync::relay {
namespace {

class RelayPageAhead : public testing::Test {
protected:
    static constexpr seconds kLater{60};

    Worker worker_{"", "test"};
    ShapeCache shapes_;
    Options options_;
    std::shared_ptr<StreamReader> reader_ =
        std::make_shared<StreamReader>(ReaderContext{worker_, shapes_, options_}, 5);
    const Time now_ = Clock::now();
};

TEST_F(RelayPageAhead, IsAskedForOnceAndOnlyByWhoHasEverythingUpToTheHead) {
    EXPECT_FALSE(reader_->stands_at(4, now_));
    EXPECT_FALSE(reader_->stands_at(6, now_));
    EXPECT_TRUE(reader_->stands_at(5, now_));
    const PageAhead page = reader_->page_ahead();
    EXPECT_FALSE(reader_->stands_at(5, now_ + kLater));
    EXPECT_FALSE(reader_->wants_page(6, now_ + kLater));
}

TEST_F(RelayPageAhead, MayBeEmptyWhereNothingHasANumberYet) {
    Answer nothing;
    reader_->page_ahead().done(nothing, 5);
    EXPECT_TRUE(reader_->stands_at(5, now_));
}

TEST_F(RelayPageAhead, IsNotTakenForEmptyWhereTheHeadHasMoved) {
    Answer nothing;
    reader_->page_ahead().done(nothing, 6);
    reader_->work();
    EXPECT_FALSE(reader_->wants_page(6, now_));  // after a pause
    EXPECT_TRUE(reader_->wants_page(6, now_ + kLater));
}

TEST_F(RelayPageAhead, IsAskedForAgainWhereItWasNotRead) {
    Answer lost;
    lost.error = DatabaseError{"40001", "the tick before it failed", "", ""};
    lost.lost = true;
    reader_->page_ahead().done(lost, 5);
    EXPECT_TRUE(reader_->stands_at(5, now_ + kLater));
}

TEST_F(RelayPageAhead, FindsItsReaderGone) {
    const PageAhead page = reader_->page_ahead();
    reader_.reset();
    Answer nothing;
    page.done(nothing, 6);
}

}  // namespace
}  // namespace paysync::relay

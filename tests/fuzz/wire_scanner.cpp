// Any bytes as a stream of changes, cut into pieces that the first byte chooses: the scanner finds what read_change()
// finds, and refuses what that refuses.
#include <cstdlib>
#include <memory>
#include <string>

#include "wire/change_scanner.hpp"

namespace {

using namespace paysync::wire;
using Found = ChangeScanner::Found;

void require(bool condition) {
    if (!condition) std::abort();
}

constexpr size_t kMostChannelBytes = 255;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const size_t piece_bytes = 1 + data[0];
    const Bytes stream(reinterpret_cast<const char*>(data) + 1, size - 1);
    Reader reader(stream);
    ChangeScanner scanner(stream.size());
    Found found = Found::kNothing;
    size_t at = 0;
    bool in_change = false;
    while (at < stream.size() && found != Found::kBad) {
        // Each piece in memory of its own, so that a look beyond it is seen.
        const std::unique_ptr<std::string> owned = std::make_unique<std::string>(stream.substr(at, piece_bytes));
        Bytes piece(*owned);
        at += owned->size();
        while ((found = scanner.scan(piece)) != Found::kNothing && found != Found::kBad) {
            in_change = found == Found::kHead;
            if (found == Found::kHead) continue;
            Change change;
            require(read_change(reader, change));
            require(reader.offset() == at - piece.size());
            require(change.operation == scanner.operation() && change.shape == scanner.shape());
            require(change.command == scanner.command() && change.previous == scanner.previous());
            require(change.channel == scanner.channel() && digest_of(change.bytes) == scanner.digest());
        }
    }
    if (found != Found::kBad && scanner.at_boundary() && !in_change) {
        require(reader.at_end());
        return 0;
    }
    Change change;
    require(!read_change(reader, change) || change.channel.size() > kMostChannelBytes);
    return 0;
}

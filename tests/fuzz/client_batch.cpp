// Any bytes as SHAPES and BATCH of a relay: the client refuses with its own error or decodes, nothing else. The first
// two bytes say how long SHAPES is, the next says whether digests are believed, so that the decoder behind them is
// reached.
#include <cstdlib>

#include "clients/cpp/batch.hpp"

namespace {

using namespace paysync;

// What every caller may rely on: an array is as large as its dimensions say, a key is whole, an alter has both shapes.
void check(const Change& change) {
    for (const Value& value : change.new_values) {
        const Array* const array = std::get_if<Array>(&value);
        if (array == nullptr) continue;
        uint64_t elements = array->lengths.empty() ? 0 : 1;
        for (const uint32_t length : array->lengths) elements *= length;
        if (elements != array->elements.size() || array->lengths.size() > 6) std::abort();
    }
    const bool names_row = !change.new_values.empty() || change.operation == Operation::kDelete;
    if (names_row && change.key().size() != change.table->key.size()) std::abort();
    if ((change.operation == Operation::kAlter) != (change.previous != nullptr)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 3) return 0;
    const wire::Bytes bytes(reinterpret_cast<const char*>(data) + 3, size - 3);
    const size_t cut = std::min<size_t>(size_t{data[0]} * 256 + data[1], bytes.size());
    Shapes shapes;
    try {
        parse_shapes(bytes.substr(0, cut), shapes);
    } catch (const Error&) {
    }
    try {
        const Batch batch = parse_batch(bytes.substr(cut));
        for (const RawTransaction& raw : batch.transactions) {
            if (data[2] % 2 == 0) verify(raw, shapes);
            const Transaction transaction = decode(raw, shapes, nullptr);
            for (const Change& change : transaction.changes) check(change);
            if (to_json(transaction).find('\n') != std::string::npos) std::abort();
        }
    } catch (const Error&) {
    }
    return 0;
}

// Any bytes as SHAPES and BATCH of a relay: the client refuses with its own error or decodes, nothing else. The first
// two bytes say how long SHAPES is, the next says whether digests are believed, so that the decoder behind them is
// reached.
#include <cstdlib>

#include "clients/cpp/batch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace paysync;
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
            if (to_json(transaction).find('\n') != std::string::npos) std::abort();
        }
    } catch (const Error&) {
    }
    return 0;
}

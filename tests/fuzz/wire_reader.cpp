// Any bytes through the cursor: skip() and the typed reads agree about where a value ends, and nothing is read past the
// end.
#include <cstdlib>
#include <string>

#include "clients/cpp/floats.hpp"
#include "wire/json.hpp"
#include "wire/reader.hpp"

namespace {

using namespace paysync::wire;

void require(bool condition) {
    if (!condition) std::abort();
}

// Reads the scalar that stands next by its type. False for what is no scalar, or is none of ours.
bool read_scalar(Reader& reader) {
    Bytes text;
    bool truth = false;
    uint64_t positive = 0;
    int64_t number = 0;
    float single = 0;
    double real = 0;
    switch (reader.peek()) {
        case Type::kNil:
            return reader.read_nil();
        case Type::kBool:
            return reader.read_bool(truth);
        case Type::kInt:
            return reader.read_int(number) || reader.read_uint(positive);
        case Type::kFloat:
            return reader.read_float32(single) || reader.read_float64(real);
        case Type::kStr:
            return reader.read_str(text);
        case Type::kBin:
            return reader.read_bin(text);
        default:
            return false;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const Bytes bytes(reinterpret_cast<const char*>(data), size);
    Reader reader(bytes);
    while (!reader.at_end()) {
        Reader typed = reader;
        const size_t before = reader.offset();
        const bool skipped = reader.skip();
        require(skipped ? reader.offset() > before : reader.offset() == before);
        if (read_scalar(typed)) require(skipped && typed.offset() == reader.offset());
        if (!skipped) break;
    }
    for (uint64_t form = 0; form <= kArray + kLastForm; ++form) {
        if (!is_form(form)) continue;
        std::string json;
        Reader value(bytes);
        Reader whole(bytes);
        const Column column{"c", "bigint", static_cast<Form>(form)};
        if (!put_json_value<paysync::ShortestFloats>(json, value, column)) continue;
        require(!json.empty() && whole.skip() && whole.offset() == value.offset());
    }
    return 0;
}

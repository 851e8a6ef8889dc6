// Arrays as msgpack arrays of their elements, walked without a list of datums beside them.
#include "capture/pinned_settings.hpp"
#include "capture/value_coding.hpp"
#include "capture/value_encoder.hpp"

namespace paysync {
namespace {

// So many elements are packed between two looks for an interrupt; then what their output functions left is freed.
constexpr int kElementsAtOnce = 1024;

bool starts_at_one(ArrayType* array) {
    for (int i = 0; i < ARR_NDIM(array); ++i)
        if (ARR_LBOUND(array)[i] != 1) return false;
    return true;
}

// Where a run of elements begins that is an array of its own: its header, and those of the runs inside it.
void open_runs(Packer& packer, ArrayType* array, int element) {
    int length = 1;  // of the run of the innermost dimensions, in elements
    int first = ARR_NDIM(array);
    while (first > 0 && element % (length * ARR_DIMS(array)[first - 1]) == 0) length *= ARR_DIMS(array)[--first];
    for (int dimension = first; dimension < ARR_NDIM(array); ++dimension)
        packer.pack_array(static_cast<uint32_t>(ARR_DIMS(array)[dimension]));
}

void pack_elements(Packer& packer, const ArrayCoding& coding, ArrayType* array, int count) {
    ArrayMetaState layout = coding.layout;
    ValueCoding& element_coding = const_cast<ValueCoding&>(coding.element);
    const ArrayIterator iterator = array_create_iterator(array, 0, &layout);
    // Small arrays leave what little they take to the row's memory.
    const MemoryContext outer = CurrentMemoryContext;
    MemoryContext inner = nullptr;
    if (count > kElementsAtOnce) inner = AllocSetContextCreate(outer, "paysync array", ALLOCSET_DEFAULT_SIZES);
    if (inner != nullptr) MemoryContextSwitchTo(inner);
    const bool is_nested = ARR_NDIM(array) > 1;
    for (int i = 0; i < count; ++i) {
        if (inner != nullptr && i % kElementsAtOnce == kElementsAtOnce - 1) {
            CHECK_FOR_INTERRUPTS();
            MemoryContextReset(inner);
        }
        if (is_nested || i == 0) open_runs(packer, array, i);
        Datum value = 0;
        bool is_null = false;
        (void)array_iterate(iterator, &value, &is_null);
        pack_nullable(packer, element_coding, value, is_null);
    }
    MemoryContextSwitchTo(outer);
    if (inner != nullptr) MemoryContextDelete(inner);
    array_free_iterator(iterator);
}

}  // namespace

void pack_array_value(Packer& packer, ValueCoding& coding, Datum value) {
    ArrayType* const array = DatumGetArrayTypeP(value);
    if (!starts_at_one(array)) {
        // Rare, so settings are pinned here and not for every row of tables with arrays.
        const int settings = pin_settings(false);
        pack_text(packer, text_of_value(coding, value));
        leave_settings(settings);
        return;
    }
    const int count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
    if (count == 0) {
        packer.pack_array(0);
    } else {
        pack_elements(packer, *coding.array, array, count);
    }
}

}  // namespace paysync

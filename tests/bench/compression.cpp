// What compressing a payload of the outbox saves and takes: records, or a stream cut into pieces, packed and unpacked
// by one method.
//
// Usage: compression METHOD DICTIONARY PIECE PASSES FILE. METHOD is pglz, lz4, zstd1 or zstd3; DICTIONARY none, trained
// (from the first half of the file) or previous (the record before). FILE holds records behind their u32 lengths; PIECE
// 0 takes each of its second half on its own, else all of them are one stream, cut at so many bytes. Prints "PIECES
// BYTES PACKED PACK_NANOSECONDS UNPACK_NANOSECONDS", the times of the quickest pass. callgrind is told to collect in
// pack_pieces() and unpack_pieces(); the pass before them, which warms up, calls neither.
#include <lz4.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zdict.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "monotonic.hpp"

// Of the server's libpgcommon, whose header wants the rest of the server's.
extern "C" {
struct PGLZ_Strategy;
extern const PGLZ_Strategy* const PGLZ_strategy_default;
int32_t pglz_compress(const char* source, int32_t length, char* target, const PGLZ_Strategy* strategy);
int32_t pglz_decompress(const char* source, int32_t length, char* target, int32_t raw_length, bool check_complete);
}

namespace {

using Pieces = std::vector<std::string_view>;

constexpr size_t kDictionaryBytes = 4096;

int as_int(size_t length) { return static_cast<int>(length); }

// A method. What does not become smaller is kept as it is, and costs the attempt.
class Method {
public:
    Method() = default;
    Method(const Method&) = delete;
    Method& operator=(const Method&) = delete;
    virtual ~Method() = default;
    // `before` is what the reader has as well: a dictionary for all pieces, or the piece before. Returns the length;
    // 0: it did not become smaller than `room`.
    virtual size_t pack(std::string_view piece, std::string_view before, char* target, size_t room) = 0;
    // Returns the length.
    virtual size_t unpack(std::string_view packed, std::string_view before, char* target, size_t room) = 0;
    // A dictionary that stays the same is looked at once.
    virtual void prepare(std::string_view dictionary) = 0;
};

class Pglz : public Method {
public:
    size_t pack(std::string_view piece, std::string_view, char* target, size_t) override {
        const int32_t length = pglz_compress(piece.data(), as_int(piece.size()), target, PGLZ_strategy_default);
        return length < 0 ? 0 : static_cast<size_t>(length);
    }
    size_t unpack(std::string_view packed, std::string_view, char* target, size_t room) override {
        return static_cast<size_t>(pglz_decompress(packed.data(), as_int(packed.size()), target, as_int(room), true));
    }
    void prepare(std::string_view) override { throw std::runtime_error("pglz has no dictionaries"); }
};

class Lz4 : public Method {
public:
    size_t pack(std::string_view piece, std::string_view before, char* target, size_t room) override {
        if (is_prepared_) {
            *stream_ = *prepared_;
        } else {
            LZ4_resetStream_fast(stream_.get());
            if (!before.empty()) LZ4_loadDict(stream_.get(), before.data(), as_int(before.size()));
        }
        return static_cast<size_t>(
            LZ4_compress_fast_continue(stream_.get(), piece.data(), target, as_int(piece.size()), as_int(room), 1));
    }
    size_t unpack(std::string_view packed, std::string_view before, char* target, size_t room) override {
        return static_cast<size_t>(LZ4_decompress_safe_usingDict(packed.data(), target, as_int(packed.size()),
                                                                 as_int(room), before.data(), as_int(before.size())));
    }
    void prepare(std::string_view dictionary) override {
        LZ4_loadDict(prepared_.get(), dictionary.data(), as_int(dictionary.size()));
        is_prepared_ = true;
    }

private:
    using Stream = std::unique_ptr<LZ4_stream_t, decltype(&LZ4_freeStream)>;
    Stream stream_{LZ4_createStream(), LZ4_freeStream};
    Stream prepared_{LZ4_createStream(), LZ4_freeStream};
    bool is_prepared_ = false;
};

// Frames without magic number, size, checksum and the dictionary's name: a reader of the outbox knows them.
class Zstd : public Method {
public:
    explicit Zstd(int level) : level_(level) {
        for (const auto& [parameter, value] :
             {std::pair{ZSTD_c_compressionLevel, level}, std::pair{ZSTD_c_contentSizeFlag, 0},
              std::pair{ZSTD_c_dictIDFlag, 0}, std::pair{ZSTD_c_format, static_cast<int>(ZSTD_f_zstd1_magicless)}})
            checked(ZSTD_CCtx_setParameter(packer_.get(), parameter, value));
        checked(ZSTD_DCtx_setParameter(unpacker_.get(), ZSTD_d_format, ZSTD_f_zstd1_magicless));
    }
    size_t pack(std::string_view piece, std::string_view before, char* target, size_t room) override {
        if (!for_packing_ && !before.empty()) checked(ZSTD_CCtx_refPrefix(packer_.get(), before.data(), before.size()));
        const size_t length = ZSTD_compress2(packer_.get(), target, room, piece.data(), piece.size());
        return ZSTD_isError(length) != 0 ? 0 : length;
    }
    size_t unpack(std::string_view packed, std::string_view before, char* target, size_t room) override {
        if (!for_unpacking_ && !before.empty())
            checked(ZSTD_DCtx_refPrefix(unpacker_.get(), before.data(), before.size()));
        return checked(ZSTD_decompressDCtx(unpacker_.get(), target, room, packed.data(), packed.size()));
    }
    void prepare(std::string_view dictionary) override {
        for_packing_.reset(ZSTD_createCDict(dictionary.data(), dictionary.size(), level_));
        for_unpacking_.reset(ZSTD_createDDict(dictionary.data(), dictionary.size()));
        checked(ZSTD_CCtx_refCDict(packer_.get(), for_packing_.get()));
        checked(ZSTD_DCtx_refDDict(unpacker_.get(), for_unpacking_.get()));
    }

private:
    static size_t checked(size_t result) {
        if (ZSTD_isError(result) != 0) throw std::runtime_error(ZSTD_getErrorName(result));
        return result;
    }
    int level_;
    std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> packer_{ZSTD_createCCtx(), ZSTD_freeCCtx};
    std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> unpacker_{ZSTD_createDCtx(), ZSTD_freeDCtx};
    std::unique_ptr<ZSTD_CDict, decltype(&ZSTD_freeCDict)> for_packing_{nullptr, ZSTD_freeCDict};
    std::unique_ptr<ZSTD_DDict, decltype(&ZSTD_freeDDict)> for_unpacking_{nullptr, ZSTD_freeDDict};
};

std::unique_ptr<Method> method_of(const std::string& name) {
    if (name == "pglz") return std::make_unique<Pglz>();
    if (name == "lz4") return std::make_unique<Lz4>();
    if (name == "zstd1") return std::make_unique<Zstd>(1);
    if (name == "zstd3") return std::make_unique<Zstd>(3);
    throw std::runtime_error("unknown method: " + name);
}

// What is packed, and what stands before each piece where that is known to the reader.
struct Work {
    Method& method;
    Pieces pieces;
    Pieces before;
    std::vector<std::vector<char>> packed;  // with room for what does not become smaller
    std::vector<size_t> lengths;            // 0: kept as it is
    std::vector<std::vector<char>> unpacked;
};

Pieces records_of(const std::string& file) {
    Pieces records;
    for (size_t at = 0; at + sizeof(uint32_t) <= file.size();) {
        uint32_t length = 0;
        std::memcpy(&length, file.data() + at, sizeof length);
        at += sizeof length;
        records.push_back(std::string_view(file).substr(at, length));
        at += length;
    }
    return records;
}

Pieces cut(std::string_view stream, size_t size) {
    Pieces pieces;
    for (size_t at = 0; at < stream.size(); at += size) pieces.push_back(stream.substr(at, size));
    return pieces;
}

std::string trained_of(const Pieces& records, size_t count) {
    std::string samples;
    std::vector<size_t> sizes;
    for (size_t i = 0; i < count; ++i) {
        samples.append(records[i]);
        sizes.push_back(records[i].size());
    }
    std::string dictionary(kDictionaryBytes, '\0');
    const size_t length = ZDICT_trainFromBuffer(dictionary.data(), dictionary.size(), samples.data(), sizes.data(),
                                                static_cast<unsigned>(sizes.size()));
    if (ZDICT_isError(length) != 0) throw std::runtime_error(ZDICT_getErrorName(length));
    dictionary.resize(length);
    return dictionary;
}

void pack_all(Work& work) {
    for (size_t i = 0; i < work.pieces.size(); ++i) {
        const std::string_view piece = work.pieces[i];
        const size_t length = work.method.pack(piece, work.before[i], work.packed[i].data(), piece.size());
        work.lengths[i] = length < piece.size() ? length : 0;
    }
}

void unpack_all(Work& work) {
    for (size_t i = 0; i < work.pieces.size(); ++i) {
        std::vector<char>& target = work.unpacked[i];
        if (work.lengths[i] == 0)
            std::memcpy(target.data(), work.pieces[i].data(), work.pieces[i].size());
        else
            work.method.unpack({work.packed[i].data(), work.lengths[i]}, work.before[i], target.data(), target.size());
    }
}

}  // namespace

// These two are named to callgrind.
extern "C" [[gnu::noinline]] void pack_pieces(Work& work) { pack_all(work); }
extern "C" [[gnu::noinline]] void unpack_pieces(Work& work) { unpack_all(work); }

namespace {

int64_t quickest(void (*pass)(Work&), Work& work, int passes) {
    int64_t best = INT64_MAX;
    for (int i = 0; i < passes; ++i) {
        const int64_t began = bench::monotonic();
        pass(work);
        best = std::min(best, bench::monotonic() - began);
    }
    return best;
}

void run(const std::string& name, const std::string& dictionary, size_t piece, int passes, const char* path) {
    std::ifstream in(path, std::ios::binary);
    const std::string file{std::istreambuf_iterator<char>(in), {}};
    const Pieces records = records_of(file);
    std::string stream;
    for (const std::string_view record : records) stream.append(record);
    const Pieces all = piece == 0 ? records : cut(stream, piece);
    const size_t first = piece == 0 ? all.size() / 2 : 0;

    const std::unique_ptr<Method> method = method_of(name);
    Work work{*method, Pieces(all.begin() + static_cast<ptrdiff_t>(first), all.end()), {}, {}, {}, {}};
    std::string trained;
    if (dictionary == "trained") method->prepare(trained = trained_of(all, first));
    for (size_t i = first; i < all.size(); ++i) {
        work.before.push_back(dictionary == "previous" && i > 0 ? all[i - 1] : std::string_view(trained));
        work.packed.emplace_back(static_cast<size_t>(LZ4_compressBound(as_int(all[i].size()))));
        work.unpacked.emplace_back(all[i].size());
    }
    work.lengths.resize(work.pieces.size());

    pack_all(work);
    unpack_all(work);
    const int64_t packing = quickest(pack_pieces, work, passes);
    const int64_t unpacking = quickest(unpack_pieces, work, passes);
    size_t bytes = 0, packed = 0;
    for (size_t i = 0; i < work.pieces.size(); ++i) {
        const std::string_view got(work.unpacked[i].data(), work.unpacked[i].size());
        if (got != work.pieces[i]) throw std::runtime_error("a piece came back altered");
        bytes += work.pieces[i].size();
        packed += work.lengths[i] == 0 ? work.pieces[i].size() : work.lengths[i];
    }
    std::printf("%zu %zu %zu %lld %lld\n", work.pieces.size(), bytes, packed, static_cast<long long>(packing),
                static_cast<long long>(unpacking));
}

}  // namespace

int main(int count, char** words) {
    if (count != 6) {
        std::fprintf(stderr, "usage: compression METHOD DICTIONARY PIECE PASSES FILE\n");
        return 2;
    }
    try {
        run(words[1], words[2], std::strtoull(words[3], nullptr, 10), std::atoi(words[4]), words[5]);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

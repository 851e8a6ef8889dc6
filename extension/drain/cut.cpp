#include "drain/cut.hpp"

namespace paysync {

// The type's struct is private to the server, its text form is not: xmin:xmax:xip,xip,…
Cut cut_of_snapshot(Datum snapshot) {
    const char* text = DatumGetCString(DirectFunctionCall1(pg_snapshot_out, snapshot));
    char* end = nullptr;
    Cut cut{};
    (void)strtoull(text, &end, 10);
    cut.xmax = strtoull(end + 1, &end, 10);
    int room = 1;
    for (const char* at = end; *at != '\0'; ++at) room += *at == ',' ? 1 : 0;
    cut.xip = static_cast<uint64*>(palloc(sizeof(uint64) * static_cast<size_t>(room)));
    const char* at = end + 1;
    while (*at != '\0') {
        cut.xip[cut.running++] = strtoull(at, &end, 10);
        at = *end == ',' ? end + 1 : end;
    }
    return cut;
}

}  // namespace paysync

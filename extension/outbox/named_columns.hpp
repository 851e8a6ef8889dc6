// Fields of a row of one of our tables by the column's name: an older version's table may not have all of them.
#pragma once

#include "postgres.hpp"

namespace paysync {

struct NamedColumns {
    HeapTuple tuple;
    TupleDesc columns;

    // False if there is no such column, or NULL is in it. The datum lives as long as the tuple.
    bool find(const char* name, Datum& value) const {
        for (int i = 0; i < columns->natts; ++i) {
            const Form_pg_attribute attribute = TupleDescAttr(columns, i);
            if (attribute->attisdropped || strcmp(NameStr(attribute->attname), name) != 0) continue;
            bool is_null = false;
            value = heap_getattr(tuple, i + 1, columns, &is_null);
            return !is_null;
        }
        return false;
    }

    [[nodiscard]] int int_or(const char* name, int otherwise) const {
        Datum value = 0;
        return find(name, value) ? DatumGetInt32(value) : otherwise;
    }
    [[nodiscard]] bool bool_or(const char* name, bool otherwise) const {
        Datum value = 0;
        return find(name, value) ? DatumGetBool(value) : otherwise;
    }
    // A copy in the current memory context.
    [[nodiscard]] const char* text_or(const char* name, const char* otherwise) const {
        Datum value = 0;
        return find(name, value) ? TextDatumGetCString(value) : otherwise;
    }
};

}  // namespace paysync

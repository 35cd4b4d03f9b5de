// The arguments of the operator matches as plain pointers, as in matches/arguments.py.
#pragma once

#include <cstdint>

namespace dien::matches {

// Lists of values, of which 0 is none.
struct Lists {
    int64_t lists;
    int64_t values;
    const int64_t* value;    // [values]
    const int64_t* offsets;  // [lists + 1], null where each list is one value

    int64_t begin(int64_t i) const { return offsets ? offsets[i] : i; }
};

struct Problem {
    int64_t histories;          // R
    Lists history;              // of the behaviours
    Lists target;               // of the candidates
    const int64_t* offsets;     // [R + 1]
    const int64_t* history_of;  // [B]
    int64_t* count;             // [B]
    int64_t* back;              // [B]
};

}  // namespace dien::matches

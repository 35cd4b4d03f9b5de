// A row of packed steps: an item of work of the operators that run over rows.
#pragma once

#include <cstdint>

namespace dien {

struct Row {
    int64_t index;   // which of the B rows
    int64_t start;   // its first packed step
    int64_t length;  // its steps
    int64_t pair;    // its first pair in scores and states
    bool adds;       // its gradient of steps adds to what an earlier row wrote
};

// From begin to before end.
struct Range {
    int64_t begin, end;
};

}  // namespace dien

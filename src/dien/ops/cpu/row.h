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

// Whether a row reads steps that are there, or none; no sum of two numbers of any size is formed.
inline bool reads_steps(int64_t start, int64_t length, int64_t steps) {
    return length == 0 || (length > 0 && start >= 0 && length <= steps && start <= steps - length);
}

// From begin to before end.
struct Range {
    int64_t begin, end;
};

}  // namespace dien

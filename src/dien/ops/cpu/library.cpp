// What library.py asks before it calls an operator.
#include "cpu/instructions.h"
#include "cpu/interface.h"
#include "cpu/row.h"

// To be raised with every change of an exported function or of a structure it takes, and with every new one, here and in
// library.py: a library built from older sources is refused.
EXPORT int32_t dien_interface() { return 11; }

// How many sets of instructions this processor has.
EXPORT int32_t dien_instruction_sets() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    return avx2 ? (avx512 ? 3 : 2) : 1;
#else
    return 1;
#endif
}

// Pairs of rows [rows] that read some of that many steps, -1 where one reads others. Without starts every length
// stands for itself.
EXPORT int64_t dien_pairs(const int64_t* starts, const int64_t* lengths, int64_t rows, int64_t steps) {
    int64_t pairs = 0;
    for (int64_t b = 0; b < rows; ++b) {
        const int64_t length = lengths[b];
        if (!dien::reads_steps(starts ? starts[b] : 0, length, steps) || length > INT64_MAX - pairs) return -1;
        pairs += length;
    }
    return pairs;
}

// What library.py asks before it calls an operator.
#include "cpu/instructions.h"
#include "cpu/interface.h"

// To be raised with every change of an exported function or of a structure it takes, here and in library.py:
// a library built from older sources is refused.
EXPORT int32_t dien_interface() { return 6; }

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

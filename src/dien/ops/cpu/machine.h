// What a call runs on: a set of instructions and threads.
#pragma once

#include <cstdint>

#include "cpu/instructions.h"
#include "cpu/parallel.h"

namespace dien {

struct Machine {
    const InstructionSet& isa;
    int threads;
    ThreadPool pool;

    // `isa` counts from the plainest; `pool` is null or GOMP_parallel.
    Machine(int32_t isa, int32_t threads, ThreadPool pool)
        : isa(*instruction_sets[isa]), threads(threads > 1 ? threads : 1), pool(pool) {}

    // One where the work is less than what another thread is worth waking for.
    int threads_for(int64_t work, int64_t enough) const { return work < enough ? 1 : threads; }
};

}  // namespace dien

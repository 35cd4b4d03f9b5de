// The kernels of every operator for one set of instructions.
#pragma once

#include <cstdint>

#include "attention_gru/problem.h"
#include "auxiliary_loss/problem.h"
#include "linear/problem.h"
#include "mlp_attention/problem.h"
#include "pairs/problem.h"
#include "rows/problem.h"
#include "segment/problem.h"

namespace dien {

struct InstructionSet {
    int64_t lanes;
    gru::Kernels gru;
    auxiliary::Kernels auxiliary;
    linear::Kernels linear;
    attention::Kernels attention;
    pairs::Kernels pairs;
    rows::Kernels rows;
    segment::Kernels segment;
};

extern const InstructionSet isa_plain, isa_avx2, isa_avx512;

// As INSTRUCTION_SETS of library.py counts them: from the plainest.
inline constexpr const InstructionSet* instruction_sets[] = {
    &isa_plain,
#if defined(__x86_64__)
    &isa_avx2,
    &isa_avx512,
#endif
};

}  // namespace dien

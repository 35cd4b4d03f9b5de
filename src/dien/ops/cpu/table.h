// The kernels of one set of instructions. plain.cpp, avx2.cpp and avx512.cpp each define LANES and ISA, choose the
// instructions and include this.
#pragma once

#include "attention_gru/kernels.h"
#include "auxiliary_loss/kernels.h"
#include "cpu/instructions.h"
#include "linear/kernels.h"
#include "mlp_attention/kernels.h"
#include "pairs/kernels.h"
#include "rows/kernels.h"
#include "segment/kernels.h"

namespace dien::ISA {

constexpr InstructionSet table{LANES,            gru::table,   auxiliary::table, linear::table,
                               attention::table, pairs::table, rows::table,      segment::table};

}  // namespace dien::ISA

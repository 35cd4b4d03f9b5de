// Eight lanes with AVX2 and FMA.
//
// What other files need too is included before the instructions are chosen, for it must run on every processor.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "cpu/instructions.h"
#include "cpu/interface.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

#define LANES 8
#define ISA avx2

#include "cpu/table.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif

const dien::InstructionSet dien::isa_avx2 = dien::avx2::table;
#endif

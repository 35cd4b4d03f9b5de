// Sixteen lanes with AVX-512.
//
// What other files need too is included before the instructions are chosen, for it must run on every processor.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "cpu/instructions.h"
#include "cpu/interface.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
#endif

#define LANES 16
#define ISA avx512

#include "cpu/table.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif

const dien::InstructionSet dien::isa_avx512 = dien::avx512::table;
#endif

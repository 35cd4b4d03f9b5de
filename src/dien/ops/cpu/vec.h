// Vectors of LANES floats on the compilers' vector extension, which serves every architecture alike.
// plain.cpp, avx2.cpp and avx512.cpp each define LANES and the namespace ISA, choose instructions and include this.
#pragma once

#include <cstdint>

#include "cpu/whole.h"

#if LANES > 4
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))

namespace dien::ISA {

typedef float Vec __attribute__((vector_size(4 * LANES)));
typedef int32_t Bits __attribute__((vector_size(4 * LANES)));
typedef float Unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE Vec load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
INLINE void store(float* p, Vec v) { *reinterpret_cast<Unaligned*>(p) = v; }
INLINE Vec broadcast(float x) { return x - Vec{}; }  // x + 0 would turn -0 into 0, so it costs an addition

// Asks for memory a while before it is read or written.
INLINE void prefetch(const float* p, int64_t floats) {
    for (int64_t i = 0; i < floats; i += 16) __builtin_prefetch(p + i);
}
// The same of memory that may begin anywhere in a line: its last line too.
INLINE void prefetch_row(const float* p, int64_t floats) {
    prefetch(p, floats);
    __builtin_prefetch(p + floats - 1);
}

// The lanes of a vector that hold hidden units: all, or the first few where H is no multiple of LANES.
// Memory beyond them is neither read nor written.
struct All {};

#if LANES == 16
struct First {
    __mmask16 mask;
    explicit First(int64_t n) : mask(static_cast<__mmask16>((1u << n) - 1)) {}
};
INLINE Vec load(const float* p, First lanes) { return _mm512_maskz_loadu_ps(lanes.mask, p); }
INLINE void store(float* p, Vec v, First lanes) { _mm512_mask_storeu_ps(p, lanes.mask, v); }
INLINE float sum(Vec v) { return _mm512_reduce_add_ps(v); }
INLINE Vec root(Vec v) { return _mm512_sqrt_ps(v); }
#elif LANES == 8
struct First {
    __m256i mask;
    explicit First(int64_t n)
        : mask(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))) {}
};
INLINE Vec load(const float* p, First lanes) { return _mm256_maskload_ps(p, lanes.mask); }
INLINE void store(float* p, Vec v, First lanes) { _mm256_maskstore_ps(p, lanes.mask, v); }
INLINE float sum(Vec v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
INLINE Vec root(Vec v) { return _mm256_sqrt_ps(v); }
#else
struct First {
    int64_t n;
    explicit First(int64_t n) : n(n) {}
};
INLINE Vec load(const float* p, First lanes) {
    Vec v{};
    for (int64_t i = 0; i < lanes.n; ++i) v[i] = p[i];
    return v;
}
INLINE void store(float* p, Vec v, First lanes) {
    for (int64_t i = 0; i < lanes.n; ++i) p[i] = v[i];
}
INLINE float sum(Vec v) { return (v[0] + v[2]) + (v[1] + v[3]); }
INLINE Vec root(Vec v) {
    for (int i = 0; i < LANES; ++i) v[i] = __builtin_sqrtf(v[i]);
    return v;
}
#endif
INLINE Vec load(const float* p, All) { return load(p); }
INLINE void store(float* p, Vec v, All) { store(p, v); }

// Floats in whole vectors, for n of them.
INLINE int64_t in_vectors(int64_t n) { return whole(n, LANES); }

// Calls f(first unit, lanes) for each vector of hidden units.
template <class F>
INLINE void each_vector(int64_t hidden, F f) {
    int64_t unit = 0;
    for (; unit + LANES <= hidden; unit += LANES) f(unit, All{});
    if (unit < hidden) f(unit, First(hidden - unit));
}

}  // namespace dien::ISA

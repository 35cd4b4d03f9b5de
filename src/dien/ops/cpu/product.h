// Small matrix products with the output in registers: the recurrence, its gradient and that of the weights.
#pragma once

#include "vec.h"

namespace dien::PATH {

// A block of the output is M rows by V vectors, kept in registers over the whole depth. Six rows by four
// vectors fill the 32 registers of AVX-512 and NEON, six by two the 16 of AVX2 and SSE; few rows take wider blocks.
#if LANES == 16 || defined(__aarch64__)
constexpr int BLOCK_VECTORS = 4;
#else
constexpr int BLOCK_VECTORS = 2;
#endif
constexpr int BLOCK_ROWS = 6;

// A strided matrix: element (i, j) at data[i * row + j * column].
struct Strided {
    const float* data;
    int64_t row, column;
};

// Calls f(0) ... f(n - 1) written out, so that arrays they index live in registers.
template <int n, class F>
INLINE void unrolled(F f) {
#pragma GCC unroll 8
    for (int i = 0; i < n; ++i) f(i);
}

template <int M, int V>
void block(const Strided& a, const float* b, int64_t b_row, float* c, int64_t c_row, int64_t depth, bool add) {
    Vec total[M][V]{};
    const float* a_k = a.data;
    for (int64_t k = 0; k < depth; ++k, a_k += a.column, b += b_row) {
        Vec b_k[V];
        unrolled<V>([&](int v) { b_k[v] = load(b + v * LANES); });
        unrolled<M>([&](int m) {
            const Vec a_mk = broadcast(a_k[m * a.row]);
            unrolled<V>([&](int v) { total[m][v] += a_mk * b_k[v]; });
        });
    }
    unrolled<M>([&](int m) {
        unrolled<V>([&](int v) {
            float* const c_mv = c + m * c_row + v * LANES;
            store(c_mv, add ? load(c_mv) + total[m][v] : total[m][v]);
        });
    });
}

// Rows of one panel of V vectors, so that the panel of b stays in the nearest cache.
template <int V>
void panel(const Strided& a, const float* b, int64_t b_row, float* c, int64_t c_row, int64_t rows, int64_t depth,
           bool add) {
    int64_t i = 0;
    const auto rest = [&] { return Strided{a.data + i * a.row, a.row, a.column}; };
    for (; i + BLOCK_ROWS <= rows; i += BLOCK_ROWS)
        block<BLOCK_ROWS, V>(rest(), b, b_row, c + i * c_row, c_row, depth, add);
    switch (rows - i) {
        case 1: return block<1, V>(rest(), b, b_row, c + i * c_row, c_row, depth, add);
        case 2: return block<2, V>(rest(), b, b_row, c + i * c_row, c_row, depth, add);
        case 3: return block<3, V>(rest(), b, b_row, c + i * c_row, c_row, depth, add);
        case 4: return block<4, V>(rest(), b, b_row, c + i * c_row, c_row, depth, add);
        case 5: return block<5, V>(rest(), b, b_row, c + i * c_row, c_row, depth, add);
    }
}

// c = a b, or c += a b where add. a [rows, depth], b [depth, columns], c [rows, columns]; columns are whole vectors.
// Every element is summed in the order of depth, whatever the block it falls in: a row's result does not
// depend on the rows beside it.
INLINE void product(int64_t rows, int64_t columns, int64_t depth, Strided a, const float* b, int64_t b_row,
                    float* c, int64_t c_row, bool add) {
    int64_t j = 0;
    for (; j + BLOCK_VECTORS * LANES <= columns; j += BLOCK_VECTORS * LANES)
        panel<BLOCK_VECTORS>(a, b + j, b_row, c + j, c_row, rows, depth, add);
    const int64_t vectors = (columns - j) / LANES;
    if (vectors == 1) panel<1>(a, b + j, b_row, c + j, c_row, rows, depth, add);
    if (vectors == 2) panel<2>(a, b + j, b_row, c + j, c_row, rows, depth, add);
    if (vectors == 3) panel<3>(a, b + j, b_row, c + j, c_row, rows, depth, add);
}

}  // namespace dien::PATH

// Small matrix products with the output in registers: the recurrence, its gradient and that of the weights.
#pragma once

#include <type_traits>

#include "cpu/vec.h"

namespace dien::ISA {

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
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) f(i);
}

template <int M, int V, class Last>
void block(const Strided& a, const float* b, int64_t b_row, float* c, int64_t c_row, int64_t depth, bool add,
           const float* bias, Last last) {
    const auto load_v = [&](const float* p, int v)
                            INLINE_LAMBDA { return v == V - 1 ? load(p + v * LANES, last) : load(p + v * LANES); };
    Vec total[M][V];
    unrolled<V>([&](int v) {
        const Vec bias_v = bias ? load_v(bias, v) : Vec{};
        unrolled<M>([&](int m) { total[m][v] = bias_v; });
    });
    const float* a_k = a.data;
    for (int64_t k = 0; k < depth; ++k, a_k += a.column, b += b_row) {
        Vec b_k[V];
        unrolled<V>([&](int v) { b_k[v] = load_v(b, v); });
        unrolled<M>([&](int m) {
            const Vec a_mk = broadcast(a_k[m * a.row]);
            unrolled<V>([&](int v) { total[m][v] += a_mk * b_k[v]; });
        });
    }
    unrolled<M>([&](int m) {
        unrolled<V>([&](int v) {
            float* const c_m = c + m * c_row;
            const Vec c_mv = add ? load_v(c_m, v) + total[m][v] : total[m][v];
            if (v == V - 1)
                store(c_m + v * LANES, c_mv, last);
            else
                store(c_m + v * LANES, c_mv);
        });
    });
}

// Rows of one panel of V vectors, so that the panel of b stays in the nearest cache.
template <int V, class Last>
void panel(const Strided& a, const float* b, int64_t b_row, float* c, int64_t c_row, int64_t rows, int64_t depth,
           bool add, const float* bias, Last last) {
    int64_t i = 0;
    const auto blocks = [&](auto size) {
        constexpr int M = decltype(size)::value;
        for (; i + M <= rows; i += M)
            block<M, V>({a.data + i * a.row, a.row, a.column}, b, b_row, c + i * c_row, c_row, depth, add, bias, last);
    };
    if constexpr (V == 1) blocks(std::integral_constant<int, 2 * BLOCK_ROWS>{});
    blocks(std::integral_constant<int, BLOCK_ROWS>{});
    switch (rows - i) {
        case 1: return blocks(std::integral_constant<int, 1>{});
        case 2: return blocks(std::integral_constant<int, 2>{});
        case 3: return blocks(std::integral_constant<int, 3>{});
        case 4: return blocks(std::integral_constant<int, 4>{});
        case 5: return blocks(std::integral_constant<int, 5>{});
    }
}

// c = a b, or c += a b where add, and a row `bias` added to every row of c where it is not null. a [rows, depth],
// b [depth, columns], c [rows, columns]; of b and c nothing beyond the columns is read or written.
// Every element is summed in the order of depth, whatever the block it falls in: a row's result does not
// depend on the rows beside it.
INLINE void product(int64_t rows, int64_t columns, int64_t depth, Strided a, const float* b, int64_t b_row, float* c,
                    int64_t c_row, bool add, const float* bias = nullptr) {
    int64_t j = 0;
    const auto panels = [&](auto width, auto last) {
        constexpr int V = decltype(width)::value;
        panel<V>(a, b + j, b_row, c + j, c_row, rows, depth, add, bias ? bias + j : nullptr, last);
        j += V * LANES;
    };
    const auto with_tail = [&](auto width) {
        const int64_t tail = columns % LANES;
        tail ? panels(width, First(tail)) : panels(width, All{});
    };
    const auto vectors = [&] { return (columns - j + LANES - 1) / LANES; };
    // A panel of a single vector keeps the multipliers less busy: five vectors are three and two.
    while (vectors() > BLOCK_VECTORS && vectors() != BLOCK_VECTORS + 1)
        panels(std::integral_constant<int, BLOCK_VECTORS>{}, All{});
    if (vectors() == BLOCK_VECTORS + 1) panels(std::integral_constant<int, BLOCK_VECTORS - 1>{}, All{});
    if (vectors() == 1) with_tail(std::integral_constant<int, 1>{});
    if (vectors() == 2) with_tail(std::integral_constant<int, 2>{});
    if constexpr (BLOCK_VECTORS == 4) {
        if (vectors() == 3) with_tail(std::integral_constant<int, 3>{});
        if (vectors() == 4) with_tail(std::integral_constant<int, 4>{});
    }
}

}  // namespace dien::ISA

// Products and sums over the steps of rows. All of a row's steps lie side by side: no index is looked up.
#pragma once

#include "cpu/product.h"
#include "pairs/problem.h"

namespace dien::ISA::pairs {

using namespace dien::pairs;

void products(const Problem& problem, const Row* begin, const Row* end, float* found) {
    const int64_t H = problem.width;
    for (const Row* row = begin; row < end; ++row) {
        const float* const q = problem.vectors + row->index * H;
        for (int64_t t = 0; t < row->length; ++t) {
            const float* const k = problem.keys + (row->start + t) * H;
            Vec total{};
            each_vector(H, [&](int64_t unit, auto lanes)
                               INLINE_LAMBDA { total += load(k + unit, lanes) * load(q + unit, lanes); });
            found[row->pair + t] = sum(total);
        }
    }
}

void sums(const Problem& problem, const Row* begin, const Row* end, float* found) {
    const int64_t H = problem.width;
    for (const Row* row = begin; row < end; ++row) {
        // The start of a row without steps may be any number.
        const float* const values = problem.keys + (row->length ? row->start * H : 0);
        product(1, H, row->length, {problem.scores + row->pair, 0, 1}, values, H, found + row->index * H, H, false);
    }
}

void scatter(const Problem& problem, const Row* begin, const Row* end, float* found) {
    const int64_t H = problem.width;
    for (const Row* row = begin; row < end; ++row)
        if (row->length)
            product(row->length, H, 1, {problem.scores + row->pair, 1, 0}, problem.vectors + row->index * H, H,
                    found + row->start * H, H, row->adds);
}

constexpr Kernels table{products, sums, scatter};

}  // namespace dien::ISA::pairs

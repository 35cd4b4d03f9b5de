// Rows copied, summed and updated. Rows of a large table are in no cache: they are asked for a while before.
#pragma once

#include <cmath>

#include "cpu/vec.h"
#include "rows/problem.h"

namespace dien::ISA::rows {

using namespace dien::rows;

constexpr int64_t AHEAD = 12;  // rows

void gather(const Table& table, const Block& block, int64_t begin, int64_t end) {
    const int64_t W = table.width;
    for (int64_t i = begin; i < end; ++i) {
        if (i + AHEAD < end) prefetch_row(table.values + block.indices[i + AHEAD] * W, W);
        const float* const row = table.values + block.indices[i] * W;
        float* const to = block.values + i * block.stride;
        each_vector(W,
                    [&](int64_t unit, auto lanes) INLINE_LAMBDA { store(to + unit, load(row + unit, lanes), lanes); });
    }
}

int64_t sum(const Entry* begin, const Entry* end, int64_t width, int64_t* rows, float* values) {
    int64_t count = 0;
    for (const Entry *first = begin, *last = begin; first < end; first = last, ++count) {
        for (; last < end && last->row == first->row; ++last)
            if (last + AHEAD < end) prefetch_row(last[AHEAD].values, width);
        rows[count] = first->row;
        float* const to = values + count * width;
        each_vector(width, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
            Vec total = load(first->values + unit, lanes);
            for (const Entry* one = first + 1; one < last; ++one) total += load(one->values + unit, lanes);
            store(to + unit, total, lanes);
        });
    }
    return count;
}

// beta ** k
INLINE float decay(const float* kept, int64_t many, double beta, int64_t k) {
    return k < many ? kept[k] : static_cast<float>(std::pow(beta, static_cast<double>(k)));
}

void adam(const Adam& step, const Rates& rates, int64_t begin, int64_t end) {
    const int64_t W = step.width;
    for (int64_t i = begin; i < end; ++i) {
        if (i + AHEAD < end) {
            const int64_t next = step.rows[i + AHEAD];
            prefetch_row(step.weights + next * W, W);
            prefetch_row(step.mean + next * W, W);
            prefetch_row(step.square + next * W, W);
            __builtin_prefetch(step.touched + next);
        }
        const int64_t row = step.rows[i], elapsed = step.step - step.touched[row];
        step.touched[row] = step.step;
        const float decay1 = decay(rates.decay1, rates.kept, step.beta1, elapsed);
        const float decay2 = decay(rates.decay2, rates.kept, step.beta2, elapsed);
        const float* const drow = step.drows + i * W;
        float* const weights = step.weights + row * W;
        float* const mean = step.mean + row * W;
        float* const square = step.square + row * W;
        each_vector(W, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
            const Vec g = load(drow + unit, lanes);
            const Vec m = load(mean + unit, lanes) * decay1 + g * rates.new1;
            const Vec s = load(square + unit, lanes) * decay2 + g * g * rates.new2;
            store(mean + unit, m, lanes);
            store(square + unit, s, lanes);
            const Vec move = m * rates.rate / (root(s / rates.correction2) + rates.eps);
            store(weights + unit, load(weights + unit, lanes) + move, lanes);
        });
    }
}

constexpr Kernels table{gather, sum, adam};

}  // namespace dien::ISA::rows

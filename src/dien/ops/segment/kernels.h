// Softmax over the steps of one row, and its gradient.
#pragma once

#include "cpu/activations.h"
#include "segment/problem.h"

namespace dien::ISA::segment {

using namespace dien::segment;

// The lanes of a vector that hold steps, and another value in the rest.
INLINE Vec filled(Vec v, All, float) { return v; }
INLINE Vec filled(Vec v, First lanes, float other) {
    static constexpr float ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    return load(ones, lanes) > 0.0f ? v : broadcast(other);
}

INLINE float largest(Vec v) {
    float top = v[0];
    for (int i = 1; i < LANES; ++i) top = v[i] > top ? v[i] : top;
    return top;
}

void softmax(int64_t length, const float* logits, float* scores) {
    constexpr float lowest = -__builtin_inff();
    Vec tops = broadcast(lowest);
    each_vector(length, [&](int64_t t, auto lanes) INLINE_LAMBDA {
        const Vec v = filled(load(logits + t, lanes), lanes, lowest);
        tops = v > tops ? v : tops;
    });
    const Vec top = broadcast(largest(tops));
    Vec total{};
    each_vector(length, [&](int64_t t, auto lanes) INLINE_LAMBDA {
        const Vec x = load(logits + t, lanes) - top;
        const Exponential e = exponential(x);
        const Vec v = x < -87.0f ? Vec{} : e.scale * e.rest + e.scale;  // NaN for NaN
        store(scores + t, v, lanes);
        total += filled(v, lanes, 0.0f);
    });
    const Vec sum_of_all = broadcast(sum(total));
    each_vector(length, [&](int64_t t, auto lanes)
                            INLINE_LAMBDA { store(scores + t, load(scores + t, lanes) / sum_of_all, lanes); });
}

void backward(int64_t length, const float* scores, const float* dscores, float* dlogits) {
    Vec total{};
    each_vector(length, [&](int64_t t, auto lanes)
                            INLINE_LAMBDA { total += load(scores + t, lanes) * load(dscores + t, lanes); });
    const Vec mean = broadcast(sum(total));
    each_vector(length, [&](int64_t t, auto lanes) INLINE_LAMBDA {
        const Vec s = load(scores + t, lanes);
        store(dlogits + t, s * load(dscores + t, lanes) - s * mean, lanes);
    });
}

constexpr Kernels table{softmax, backward};

}  // namespace dien::ISA::segment

// Sigmoid and tanh, within a few units in the last place, NaN for NaN.
#pragma once

#include "cpu/vec.h"

namespace dien::ISA {

// e^x = scale (1 + rest), |rest| < 0.42, x held within ±87 so that nothing overflows or is denormal.
struct Exponential {
    Vec scale, rest;
};

INLINE Exponential exponential(Vec x) {
    const Vec low = broadcast(-87.0f), high = broadcast(87.0f);
    x = x < low ? low : x;  // false for NaN, which passes
    x = x > high ? high : x;
    // x = n ln 2 + r, |r| <= ln 2 / 2: adding 1.5 * 2^23 rounds to an integer, found in the lowest bits.
    constexpr float shift = 12582912.0f;
    const Vec shifted = x * 1.442695041f + shift;
    const Vec n = shifted - shift;
    const Vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    // e^r - 1 = r + r^2 q(r), q the Chebyshev interpolation of degree 4, off by 2.3e-8.
    Vec q = r * 1.3926184e-3f + 8.363179e-3f;
    q = q * r + 4.1666556e-2f;
    q = q * r + 1.6666576e-1f;
    q = q * r + 0.5f;
    const Bits power = ((Bits)shifted + 127) << 23;
    return {(Vec)power, r * r * q + r};
}

INLINE Vec sigmoid(Vec x) {
    const Exponential e = exponential(-x);
    return 1.0f / (e.scale * e.rest + (1.0f + e.scale));
}

INLINE Vec tanh(Vec x) {
    const Exponential e = exponential(x + x);
    const Vec minus_one = e.scale * e.rest + (e.scale - 1.0f);  // e^2x - 1 without cancellation at 0
    return minus_one / (minus_one + 2.0f);
}

}  // namespace dien::ISA

// A tile of rows through the layers after the first, and back.
#pragma once

#include <type_traits>

#include "cpu/activations.h"
#include "cpu/product.h"
#include "mlp/problem.h"

namespace dien::ISA::mlp {

using namespace dien::mlp;

// Hands out parts of a scratch, each on a cache line; without a scratch, it only counts.
class Carver {
  public:
    explicit Carver(float* scratch) : scratch_(scratch) {}
    float* take(int64_t floats) {
        float* const part = scratch_ ? scratch_ + used : nullptr;
        used += (floats + 15) / 16 * 16;
        return part;
    }
    int64_t used = 0;

  private:
    float* scratch_;
};

// What a tile needs: z into the activations, a out of them and a 1 behind, the gradient of z.
struct TailTile {
    float *z[MOST_LAYERS], *a[MOST_LAYERS], *dz[MOST_LAYERS];

    TailTile(Carver& carver, const PackedTail& tail, int64_t rows) {
        for (int l = 0; l < tail.layers; ++l) {
            z[l] = carver.take(rows * tail.z[l]);
            a[l] = carver.take(rows * tail.a[l]);
            dz[l] = carver.take(rows * tail.z[l]);
        }
    }
};

template <Activation act>
INLINE Vec activate(Vec z, Vec slope) {
    if constexpr (act == Activation::none) return z;
    if constexpr (act == Activation::relu) return z < 0.0f ? Vec{} : z;  // NaN for NaN
    if constexpr (act == Activation::prelu) return z > 0.0f ? z : z * slope;
    if constexpr (act == Activation::sigmoid) return sigmoid(z);
    if constexpr (act == Activation::tanh) return tanh(z);
}

template <Activation act>
INLINE Vec slope_at(Vec z, Vec a, Vec slope) {  // da / dz
    if constexpr (act == Activation::none) return broadcast(1.0f);
    if constexpr (act == Activation::relu) return z > 0.0f ? broadcast(1.0f) : Vec{};
    if constexpr (act == Activation::prelu) return z > 0.0f ? broadcast(1.0f) : slope;
    if constexpr (act == Activation::sigmoid) return a * (1.0f - a);
    if constexpr (act == Activation::tanh) return 1.0f - a * a;
}

// Calls f with the activation as a compile-time constant.
template <class F>
INLINE void with_activation(Activation activation, F f) {
    switch (activation) {
        case Activation::none: return f(std::integral_constant<Activation, Activation::none>{});
        case Activation::relu: return f(std::integral_constant<Activation, Activation::relu>{});
        case Activation::prelu: return f(std::integral_constant<Activation, Activation::prelu>{});
        case Activation::sigmoid: return f(std::integral_constant<Activation, Activation::sigmoid>{});
        case Activation::tanh: return f(std::integral_constant<Activation, Activation::tanh>{});
    }
}

// From tile.z[0] [rows, z[0]] to logits [rows].
template <Activation act>
void tail_forward(const PackedTail& tail, const TailTile& tile, int64_t rows, float* logits) {
    for (int l = 0; l < tail.layers; ++l) {
        const int64_t z_row = tail.z[l], a_row = tail.a[l];
        if (l > 0)
            product(rows, z_row, tail.width[l - 1] + 1, {tile.a[l - 1], tail.a[l - 1], 1}, tail.forward[l], z_row,
                    tile.z[l], z_row, false);
        for (int64_t i = 0; i < rows; ++i) {
            const float* z = tile.z[l] + i * z_row;
            float* a = tile.a[l] + i * a_row;
            for (int64_t unit = 0; unit < z_row; unit += LANES) {
                const Vec slope = act == Activation::prelu ? load(tail.slopes[l] + unit) : Vec{};
                store(a + unit, activate<act>(load(z + unit), slope));
            }
            a[tail.width[l]] = 1.0f;
        }
    }
    const int last = tail.layers - 1;
    const int64_t width = tail.width[last];
    for (int64_t i = 0; i < rows; ++i) {
        const float* a = tile.a[last] + i * tail.a[last];
        Vec total{};
        each_vector(width, [&](int64_t unit, auto lanes)
                               INLINE_LAMBDA { total += load(a + unit, lanes) * load(tail.last + unit); });
        logits[i] = sum(total) + tail.last_bias;
    }
}

// From the gradient of logits [rows], after tail_forward, to tile.dz[0] [rows, z[0]]; that of the parameters
// is added to `gradients`.
template <Activation act>
void tail_backward(const PackedTail& tail, const TailTile& tile, int64_t rows, const float* dlogits, float* gradients) {
    for (int l = tail.layers - 1; l >= 0; --l) {
        const int64_t z_row = tail.z[l], a_row = tail.a[l];
        const bool last = l == tail.layers - 1;
        if (!last) {
            product(rows, z_row, tail.width[l + 1], {tile.dz[l + 1], tail.z[l + 1], 1}, tail.backward[l + 1], z_row,
                    tile.dz[l], z_row, false);
            product(tail.width[l] + 1, tail.z[l + 1], rows, {tile.a[l], 1, a_row}, tile.dz[l + 1], tail.z[l + 1],
                    gradients + tail.dlayers[l + 1], tail.z[l + 1], true);
        }
        // Columns outside, rows inside: what a column adds up stays in a register.
        for (int64_t unit = 0; unit < z_row; unit += LANES) {
            const Vec slope = act == Activation::prelu ? load(tail.slopes[l] + unit) : Vec{};
            const Vec weight = last ? load(tail.last + unit) : Vec{};
            Vec dslope{}, dweight{};
            for (int64_t i = 0; i < rows; ++i) {
                float* const dz = tile.dz[l] + i * z_row + unit;
                const Vec z = load(tile.z[l] + i * z_row + unit), a = load(tile.a[l] + i * a_row + unit);
                Vec da;
                if (last) {
                    const Vec dlogit = broadcast(dlogits[i]);
                    dweight += dlogit * a;
                    da = dlogit * weight;
                } else {
                    da = load(dz);
                }
                if constexpr (act == Activation::prelu) dslope += z > 0.0f ? Vec{} : da * z;
                store(dz, da * slope_at<act>(z, a, slope));
            }
            if constexpr (act == Activation::prelu) {
                float* const p = gradients + tail.dslopes[l] + unit;
                store(p, load(p) + dslope);
            }
            if (last) {
                float* const p = gradients + tail.dlast + unit;
                store(p, load(p) + dweight);
            }
        }
        if (last)
            for (int64_t i = 0; i < rows; ++i) gradients[tail.dlast_bias] += dlogits[i];
    }
}

}  // namespace dien::ISA::mlp

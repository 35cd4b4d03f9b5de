// A tile of rows through a tower, and back.
#pragma once

#include <type_traits>

#include "../activations.h"
#include "../product.h"
#include "problem.h"

namespace dien::PATH::mlp {

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
struct TowerTile {
    float *z[MOST_LAYERS], *a[MOST_LAYERS], *by_z[MOST_LAYERS];

    TowerTile(Carver& carver, const PackedTower& tower, int64_t rows) {
        for (int l = 0; l < tower.layers; ++l) {
            z[l] = carver.take(rows * tower.z[l]);
            a[l] = carver.take(rows * tower.a[l]);
            by_z[l] = carver.take(rows * tower.z[l]);
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
void tower_forward(const PackedTower& tower, const TowerTile& tile, int64_t rows, float* logits) {
    for (int l = 0; l < tower.layers; ++l) {
        const int64_t z_row = tower.z[l], a_row = tower.a[l];
        if (l > 0)
            product(rows, z_row, tower.width[l - 1] + 1, {tile.a[l - 1], tower.a[l - 1], 1}, tower.forward[l], z_row,
                    tile.z[l], z_row, false);
        for (int64_t i = 0; i < rows; ++i) {
            const float* z = tile.z[l] + i * z_row;
            float* a = tile.a[l] + i * a_row;
            for (int64_t unit = 0; unit < z_row; unit += LANES) {
                const Vec slope = act == Activation::prelu ? load(tower.slopes[l] + unit) : Vec{};
                store(a + unit, activate<act>(load(z + unit), slope));
            }
            a[tower.width[l]] = 1.0f;
        }
    }
    const int last = tower.layers - 1;
    const int64_t width = tower.width[last];
    for (int64_t i = 0; i < rows; ++i) {
        const float* a = tile.a[last] + i * tower.a[last];
        Vec total{};
        each_vector(width, [&](int64_t unit, auto lanes) INLINE_LAMBDA {
            total += load(a + unit, lanes) * load(tower.last + unit);
        });
        logits[i] = sum(total) + tower.last_bias;
    }
}

// From the gradient of logits [rows], after tower_forward, to tile.by_z[0] [rows, z[0]]; that of the parameters
// is added to `gradients`.
template <Activation act>
void tower_backward(const PackedTower& tower, const TowerTile& tile, int64_t rows, const float* by_logits,
                    float* gradients) {
    for (int l = tower.layers - 1; l >= 0; --l) {
        const int64_t z_row = tower.z[l], a_row = tower.a[l];
        const bool last = l == tower.layers - 1;
        if (!last) {
            product(rows, z_row, tower.width[l + 1], {tile.by_z[l + 1], tower.z[l + 1], 1}, tower.backward[l + 1], z_row,
                    tile.by_z[l], z_row, false);
            product(tower.width[l] + 1, tower.z[l + 1], rows, {tile.a[l], 1, a_row}, tile.by_z[l + 1], tower.z[l + 1],
                    gradients + tower.by_layer[l + 1], tower.z[l + 1], true);
        }
        // Columns outside, rows inside: what a column adds up stays in a register.
        for (int64_t unit = 0; unit < z_row; unit += LANES) {
            const Vec slope = act == Activation::prelu ? load(tower.slopes[l] + unit) : Vec{};
            const Vec weight = last ? load(tower.last + unit) : Vec{};
            Vec by_slope{}, by_weight{};
            for (int64_t i = 0; i < rows; ++i) {
                float* const by_z = tile.by_z[l] + i * z_row + unit;
                const Vec z = load(tile.z[l] + i * z_row + unit), a = load(tile.a[l] + i * a_row + unit);
                Vec by_a;
                if (last) {
                    const Vec by_logit = broadcast(by_logits[i]);
                    by_weight += by_logit * a;
                    by_a = by_logit * weight;
                } else {
                    by_a = load(by_z);
                }
                if constexpr (act == Activation::prelu) by_slope += z > 0.0f ? Vec{} : by_a * z;
                store(by_z, by_a * slope_at<act>(z, a, slope));
            }
            if constexpr (act == Activation::prelu) {
                float* const p = gradients + tower.by_slopes[l] + unit;
                store(p, load(p) + by_slope);
            }
            if (last) {
                float* const p = gradients + tower.by_last + unit;
                store(p, load(p) + by_weight);
            }
        }
        if (last)
            for (int64_t i = 0; i < rows; ++i) gradients[tower.by_bias] += by_logits[i];
    }
}

}  // namespace dien::PATH::mlp

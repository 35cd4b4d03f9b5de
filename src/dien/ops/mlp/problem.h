// The layers of an MLP after its first as plain pointers, and as the kernels of mlp_attention and auxiliary_loss
// read them: each computes the first layer in a way of its own.
#pragma once

#include <cstdint>

namespace dien::mlp {

constexpr int MOST_LAYERS = 8;

enum class Activation : int32_t { none, relu, prelu, sigmoid, tanh };

// An activation, then linear layers and activations in turn, down to one number: MLPTail of mlp/__init__.py.
struct Tail {
    Activation activation;
    int32_t layers;                     // hidden ones, L
    int64_t widths[MOST_LAYERS];        // of these
    const float* slopes[MOST_LAYERS];   // [widths[l]], of PReLU alone
    const float* weights[MOST_LAYERS];  // [widths[l + 1], widths[l]], the last [1, widths[L - 1]]
    const float* biases[MOST_LAYERS];   // [widths[l + 1]], the last [1]
};

struct TailGradients {
    float* dslopes[MOST_LAYERS];
    float* dweights[MOST_LAYERS];
    float* dbiases[MOST_LAYERS];
};

// As the kernels read them, padded with zeros to whole vectors, and where its gradients are added up.
struct PackedTail {
    Activation activation;
    int layers;
    int64_t width[MOST_LAYERS];
    int64_t z[MOST_LAYERS];              // floats from one row to the next of what goes into an activation
    int64_t a[MOST_LAYERS];              // the same of what comes out, followed by a 1 that multiplies the bias
    const float* slopes[MOST_LAYERS];    // [z[l]]
    const float* forward[MOST_LAYERS];   // from l >= 1: [width[l - 1] + 1, z[l]], the transpose over the bias
    const float* backward[MOST_LAYERS];  // from l >= 1: [width[l], z[l - 1]]
    const float* last;                   // [z[L - 1]]
    float last_bias;

    // In a part's gradients: slopes [z[l]], layers as `forward`, last [z[L - 1]], its bias.
    int64_t dslopes[MOST_LAYERS];
    int64_t dlayers[MOST_LAYERS];
    int64_t dlast;
    int64_t dlast_bias;
    int64_t gradients;  // floats in all
};

}  // namespace dien::mlp

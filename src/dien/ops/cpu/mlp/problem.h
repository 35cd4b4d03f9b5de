// The arguments of the attention and of the auxiliary network as plain pointers, and what their kernels work on.
//
// B rows, N packed steps, P pairs of (row, step), H and D widths, as in dien/ops/mlp_attention.py and
// dien/ops/auxiliary_loss.py; W is the width of the first hidden layer.
#pragma once

#include <cstdint>

namespace dien::mlp {

constexpr int MOST_LAYERS = 8;

enum class Activation : int32_t { none, relu, prelu, sigmoid, tanh };

// What follows an MLP's first linear layer: an activation, then linear layers and activations in turn, down to
// one number.
struct Tower {
    Activation activation;
    int32_t layers;                     // hidden ones, L
    int64_t widths[MOST_LAYERS];        // of these
    const float* slopes[MOST_LAYERS];   // [widths[l]], of PReLU alone
    const float* weights[MOST_LAYERS];  // [widths[l + 1], widths[l]], the last [1, widths[L - 1]]
    const float* biases[MOST_LAYERS];   // [widths[l + 1]], the last [1]
};

struct TowerGradients {
    float* slopes[MOST_LAYERS];
    float* weights[MOST_LAYERS];
    float* biases[MOST_LAYERS];
};

// A tower as the kernels read it, padded with zeros to whole vectors, and where its gradients are added up.
struct PackedTower {
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
    int64_t by_slopes[MOST_LAYERS];
    int64_t by_layer[MOST_LAYERS];
    int64_t by_last;
    int64_t by_bias;
    int64_t gradients;  // floats in all
};

// logit of (b, t) = tower(bias_b + (of_state + of_product diag(q_b)) h_t)
struct Attention {
    int64_t rows;                // B
    int64_t steps;               // N
    int64_t pairs;               // P
    int64_t hidden;              // H
    const int64_t* starts;       // [B]
    const int64_t* lengths;      // [B]
    const float* states;         // [N, H]
    const float* targets;        // q [B, H]
    const float* bias;           // [B, W]
    const float* of_state;       // [W, H]
    const float* of_product;     // [W, H]
    Tower tower;
};

struct AttentionGradients {
    const float* of_logits;  // [P]
    float* states;
    float* targets;
    float* bias;
    float* of_state;
    float* of_product;
    TowerGradients tower;
};

struct PackedAttention {
    const float* of_state;    // [H, z[0]], the transpose
    const float* of_product;  // [H, z[0]]
    const float* back_state;    // [W, whole(H)]
    const float* back_product;  // [W, whole(H)]
    PackedTower tower;
};

// Consecutive steps of a row, as many as fit a tile.
struct Piece {
    int64_t row, step, pair, count;
    bool adds;  // its gradient of states adds to what an earlier row wrote
};

// logit of a click = tower(W (h_t, e_t') + b), of a non-click the same with the negative
struct Auxiliary {
    int64_t pairs;           // S
    int64_t steps;           // N
    int64_t hidden;          // H
    int64_t item;            // D
    int64_t ahead;           // t' = t + ahead
    const int64_t* now;      // [S] t, rising
    const float* states;     // [N, H]
    const float* items;      // [N, D]
    int64_t items_stride;    // from one row to the next
    const float* negatives;  // [N, D]
    int64_t negatives_stride;
    const float* weight;     // [W, H + D]
    const float* bias;       // [W]
    Tower tower;
};

struct AuxiliaryGradients {
    float* states;     // [N, H]
    float* items;      // [N, D]
    float* negatives;  // [N, D]
    float* weight;
    float* bias;
    TowerGradients tower;
};

struct PackedAuxiliary {
    const float* of_state;    // [H + 1, z[0]], the transpose over the bias
    const float* of_item;     // [D, z[0]]
    const float* back_state;  // [W, whole(H)]
    const float* back_item;   // [W, whole(D)]
    PackedTower tower;
};

// What a path does. A tile is a few pairs; scratch is aligned to 64 bytes. `part` is where a part of the pairs
// adds up its gradients: of the first layer, as its packed transpose, then of the tower.
struct Kernels {
    int64_t (*attention_scratch)(const Attention&, const PackedTower&, int64_t tile);
    int64_t (*auxiliary_scratch)(const Auxiliary&, const PackedTower&, int64_t tile);

    void (*attention_forward)(const Attention&, const PackedAttention&, const Piece*, int64_t pieces, float* logits,
                              float* scratch);
    // part: of_state and of_product [H, z[0]], then the tower's
    void (*attention_backward)(const Attention&, const PackedAttention&, const Piece*, int64_t pieces,
                               const AttentionGradients&, float* part, float* scratch);

    // logits [2, S] of clicks and of non-clicks. Where `gradients` is not null, also the gradient of the sum of
    // -log σ(click) - log(1 - σ(non-click)); part: of_state [H + 1, z[0]] and of_item [D, z[0]], then the tower's.
    void (*auxiliary)(const Auxiliary&, const PackedAuxiliary&, int64_t begin, int64_t end, float* logits,
                      const AuxiliaryGradients* gradients, float* part, float* scratch);
};

}  // namespace dien::mlp

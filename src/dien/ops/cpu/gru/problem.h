// The arguments of attention_gru as plain pointers, and how the kernels lay out what they work on.
//
// B rows, N packed steps, P pairs of (row, step), H hidden units, as in dien/ops/attention_gru.py.
#pragma once

#include <cstdint>

namespace dien::gru {

enum class Kind : int32_t { gru, agru, augru, augru_complement };

struct Problem {
    Kind kind;
    int64_t rows;          // B
    int64_t steps;         // N
    int64_t pairs;         // P
    int64_t hidden;        // H
    const int64_t* starts;   // [B]
    const int64_t* lengths;  // [B]
    const float* gates;    // [N, 3H], rows gates_stride apart
    int64_t gates_stride;
    const float* weight;   // [3H, H]
    const float* bias;     // [3H], or null for zeros
    const float* scores;   // [P], null for Kind::gru
    const float* state;    // [B, H], or null for zeros
};

struct Row {
    int64_t index;   // which of the B rows
    int64_t start;   // its first step in gates
    int64_t length;  // its steps
    int64_t pair;    // its first pair in scores and states
    bool adds;       // its gradient of gates adds to what an earlier row wrote
};

// Floats from one row to the next of what the kernels work on, in whole vectors.
struct Layout {
    int64_t state;  // of states [H], followed by a 1 that multiplies the bias
    int64_t gates;  // of gates [3H]
    int64_t flow;   // of gradients of states [H]

    Layout(int64_t hidden, int64_t lanes)
        : state(whole(hidden + 1, lanes)), gates(whole(3 * hidden, lanes)), flow(whole(hidden, lanes)) {}

  private:
    static int64_t whole(int64_t n, int64_t lanes) { return (n + lanes - 1) / lanes * lanes; }
};

// The recurrent weights as the products read them, padded with zeros to whole vectors.
struct Weights {
    const float* forward;   // [H + 1, Layout::gates], the transpose over the bias
    const float* backward;  // [3H, Layout::flow]
};

// What backward reads besides the problem, and writes.
struct Gradients {
    const float* of_last;    // [B, H]
    const float* of_states;  // [P, H]
    const float* states;     // [P, H] kept by forward
    float* gates;            // [N, 3H]
    float* scores;           // [P], or null
    float* state;            // [B, H], or null
};

// What a path does. A tile is a few rows, longest first, that run in step; scratch is aligned to 64 bytes.
struct Kernels {
    // Floats of scratch for a tile of that many rows.
    int64_t (*forward_scratch)(int64_t hidden, int64_t rows);
    int64_t (*backward_scratch)(int64_t hidden, int64_t rows);

    // last [B, H]; states [P, H] or null
    void (*forward)(const Problem&, const Weights&, const Row* rows, int64_t count, float* last, float* states,
                    float* scratch);

    // weight [H + 1, Layout::gates] is added to: transposed gradient of the weights over that of the bias.
    void (*backward)(const Problem&, const Weights&, const Row* rows, int64_t count, const Gradients&,
                     float* weight, float* scratch);
};

}  // namespace dien::gru

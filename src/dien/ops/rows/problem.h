// The arguments of the operators on rows of tables as plain pointers, as in rows/__init__.py.
#pragma once

#include <cstdint>

namespace dien::rows {

struct Table {
    float* values;  // [V, W]
    int64_t rows;   // V
    int64_t width;  // W
};

// Rows of a table, by index: a block of columns of a larger matrix.
struct Block {
    int64_t table;
    int64_t count;
    const int64_t* indices;  // [count]
    float* values;           // [count, W], lines `stride` apart
    int64_t stride;
};

struct Problem {
    int64_t tables, blocks;
    const Table* table;  // [tables]
    const Block* block;  // [blocks]
};

// One index of a block, and where its values lie.
struct Entry {
    int64_t row;
    const float* values;
};

// Distinct rows of a table, rising, and the sums of what the blocks hold for each.
struct Sums {
    int64_t* rows;  // [n], of room for all entries
    float* values;  // [n, W]
    int64_t count;  // n, written
};

// A step of Adam for some distinct rows of a table.
struct Adam {
    int64_t count;  // n
    int64_t height, width;
    const int64_t* rows;  // [n]
    const float* drows;   // [n, W] gradients of these
    float* weights;       // [V, W]
    float* mean;          // [V, W]
    float* square;        // [V, W]
    int32_t* touched;     // [V] step each row was last given
    int32_t step;
    double lr, beta1, beta2, eps;
};

// What an Adam step is made of besides, worked out once for all rows.
struct Rates {
    const float* decay1;  // beta ** k of the first moment, for k below `kept`
    const float* decay2;  // and of the second
    int64_t kept;
    float new1, new2;   // weight of the new gradient in the moments: 1 - beta
    float correction2;  // 1 - beta2 ** step
    float rate;         // -lr / (1 - beta1 ** step)
    float eps;
};

// What an instruction set has. Indices are in range.
struct Kernels {
    // Copies the rows of a block from begin to end out of their table.
    void (*gather)(const Table&, const Block&, int64_t begin, int64_t end);

    // Sums entries of one row each, those of a row one after the other; returns behind the last sum.
    int64_t (*sum)(const Entry* begin, const Entry* end, int64_t width, int64_t* rows, float* values);

    // Updates the rows from begin to end.
    void (*adam)(const Adam&, const Rates&, int64_t begin, int64_t end);
};

}  // namespace dien::rows

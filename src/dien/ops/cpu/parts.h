// Gradients of the weights, added up part by part.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/interface.h"

namespace dien {

// Parts a backward pass is cut into, each with a gradient of the weights of its own: no function of the number of
// threads, so that sums are formed in one order always.
constexpr int64_t PARTS = 16;

class Parts {
  public:
    Parts(int64_t parts, int64_t floats)
        : parts_(parts), floats_(floats), memory_(zeroed(std::max<int64_t>(parts, 1) * floats)) {}

    // What a part adds to.
    float* part(int64_t i) const { return memory_.get() + i * floats_; }

    // The sum of all, in their order; to be asked for once.
    const float* total() const {
        for (int64_t i = 1; i < parts_; ++i)
            for (int64_t k = 0; k < floats_; ++k) memory_.get()[k] += part(i)[k];
        return memory_.get();
    }

  private:
    int64_t parts_, floats_;
    Buffer memory_;
};

}  // namespace dien

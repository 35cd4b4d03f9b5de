// The C interface of linear: packs the weights, chooses the instructions and shares out tiles of rows.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cpu/interface.h"
#include "cpu/machine.h"
#include "cpu/parts.h"

namespace dien::linear {
namespace {

// Rows of a tile, whole blocks of a product. Its x and y stay in the second cache.
constexpr int64_t TILE = 120;
// Below this many multiplications, about 50 microseconds of one core, a second thread is not worth waking.
constexpr int64_t SMALL = 5'000'000;

int64_t multiplications(const Problem& problem) { return problem.rows * problem.inputs * problem.outputs; }

Status forward(const Problem& problem, const Machine& machine, float* y) {
    const int64_t K = problem.inputs, M = problem.outputs, M_row = whole(M, machine.isa.lanes);
    const Buffer packed = zeroed(K * M_row);
    transpose(M, K, problem.weight, K, packed.get(), M_row);
    const int threads = machine.threads_for(multiplications(problem), SMALL);
    parallel(machine.pool, threads, divided(problem.rows, TILE), [&](int64_t tile, int) {
        machine.isa.linear.forward(problem, packed.get(), tile * TILE, std::min(problem.rows, (tile + 1) * TILE), y);
    });
    return done;
}

Status backward(const Problem& problem, const Machine& machine, const Gradients& gradients) {
    const int64_t K = problem.inputs, M = problem.outputs;
    const int64_t K_row = whole(K, machine.isa.lanes), M_row = whole(M, machine.isa.lanes);
    const Buffer packed = zeroed(M * K_row);
    for (int64_t j = 0; j < M; ++j) std::copy_n(problem.weight + j * K, K, packed.get() + j * K_row);
    const int64_t rows = std::max(TILE, divided(divided(problem.rows, TILE), PARTS) * TILE);  // of a part
    const int64_t parts = divided(problem.rows, rows);
    const Parts sums(parts, (K + 1) * M_row);
    parallel(machine.pool, machine.threads_for(multiplications(problem), SMALL), parts, [&](int64_t part, int) {
        const int64_t end = std::min(problem.rows, (part + 1) * rows);
        for (int64_t begin = part * rows; begin < end; begin += TILE)
            machine.isa.linear.backward(problem, packed.get(), gradients, begin, std::min(end, begin + TILE),
                                        sums.part(part));
    });
    const float* const total = sums.total();
    if (gradients.dweight) transpose(K, M, total, M_row, gradients.dweight, K);
    if (gradients.dbias) std::copy_n(total + K * M_row, M, gradients.dbias);
    return done;
}

}  // namespace
}  // namespace dien::linear

// What cpu.py calls.

// y [N, M]
EXPORT int32_t dien_linear_forward(const dien::linear::Problem* problem, int32_t isa, int32_t threads,
                                   dien::ThreadPool pool, float* y) {
    return dien::guarded([&] { return dien::linear::forward(*problem, {isa, threads, pool}, y); });
}

EXPORT int32_t dien_linear_backward(const dien::linear::Problem* problem, int32_t isa, int32_t threads,
                                    dien::ThreadPool pool, const dien::linear::Gradients* gradients) {
    return dien::guarded([&] { return dien::linear::backward(*problem, {isa, threads, pool}, *gradients); });
}

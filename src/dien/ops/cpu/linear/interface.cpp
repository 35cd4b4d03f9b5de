// The C interface of linear: packs the weights, chooses the instructions and shares out tiles of rows.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "../interface.h"
#include "../parallel.h"
#include "../parts.h"
#include "../path.h"

namespace dien::linear {
namespace {

// Rows of a tile, whole blocks of a product. Its x and y stay in the second cache.
constexpr int64_t TILE = 120;
// Below this many multiplications, about 50 microseconds of one core, a second thread is not worth waking.
constexpr int64_t SMALL = 5'000'000;

int64_t divided(int64_t n, int64_t size) { return (n + size - 1) / size; }

int threads_for(const Problem& problem, int threads) {
    return problem.rows * problem.inputs * problem.outputs < SMALL ? 1 : std::max(threads, 1);
}

Status forward(const Problem& problem, const Path& path, int threads, Team team, float* y) {
    const int64_t K = problem.inputs, M = problem.outputs, M_row = whole(M, path.lanes);
    const Buffer packed = zeroed(K * M_row);
    transpose(M, K, problem.weight, K, packed.get(), M_row);
    parallel(team, threads_for(problem, threads), divided(problem.rows, TILE), [&](int64_t tile, int) {
        path.linear.forward(problem, packed.get(), tile * TILE, std::min(problem.rows, (tile + 1) * TILE), y);
    });
    return done;
}

Status backward(const Problem& problem, const Path& path, int threads, Team team, const Gradients& gradients) {
    const int64_t K = problem.inputs, M = problem.outputs, K_row = whole(K, path.lanes), M_row = whole(M, path.lanes);
    const Buffer packed = zeroed(M * K_row);
    for (int64_t j = 0; j < M; ++j) std::copy_n(problem.weight + j * K, K, packed.get() + j * K_row);
    const int64_t rows = std::max(TILE, divided(divided(problem.rows, TILE), PARTS) * TILE);  // of a part
    const int64_t parts = divided(problem.rows, rows);
    const Parts sums(parts, (K + 1) * M_row);
    parallel(team, threads_for(problem, threads), parts, [&](int64_t part, int) {
        const int64_t end = std::min(problem.rows, (part + 1) * rows);
        for (int64_t begin = part * rows; begin < end; begin += TILE)
            path.linear.backward(problem, packed.get(), gradients, begin, std::min(end, begin + TILE),
                                 sums.part(part));
    });
    const float* const total = sums.total();
    if (gradients.weight) transpose(K, M, total, M_row, gradients.weight, K);
    if (gradients.bias) std::copy_n(total + K * M_row, M, gradients.bias);
    return done;
}

}  // namespace
}  // namespace dien::linear

// What linear.py calls. `path` counts from the plainest; `team` is null or GOMP_parallel.

// y [N, M]
EXPORT int32_t dien_linear_forward(const dien::linear::Problem* problem, int32_t path, int32_t threads,
                                   dien::Team team, float* y) {
    return dien::guarded([&] { return dien::linear::forward(*problem, *dien::paths[path], threads, team, y); });
}

EXPORT int32_t dien_linear_backward(const dien::linear::Problem* problem, int32_t path, int32_t threads,
                                    dien::Team team, const dien::linear::Gradients* gradients) {
    return dien::guarded(
        [&] { return dien::linear::backward(*problem, *dien::paths[path], threads, team, *gradients); });
}

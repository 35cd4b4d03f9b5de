// The C interface of attention_gru: checks the rows, chooses the instructions and shares out the tiles.
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "../interface.h"
#include "../parallel.h"
#include "../path.h"
#include "schedule.h"

namespace dien::gru {
namespace {

// Rows of a tile. More of them read the weights less often, fewer stay in the nearest cache.
constexpr int64_t TILE = 36;
// Below this many multiplications, about 50 microseconds of one core, a second thread is not worth waking.
constexpr int64_t SMALL = 2'000'000;
// Parts of backward, each with a gradient of the weights of its own: no function of the number of threads, so
// that sums are formed in one order always.
constexpr int64_t PARTS = 16;

bool read_rows(const Problem& problem, Rows& rows) {
    int64_t pair = 0;
    rows.resize(problem.rows);
    for (int64_t b = 0; b < problem.rows; ++b) {
        const int64_t start = problem.starts[b], length = problem.lengths[b];
        if (length < 0 || (length > 0 && (start < 0 || start > problem.steps - length))) return false;
        rows[b] = {b, start, length, pair, false};
        pair += length;
    }
    return pair == problem.pairs;
}

// [H + 1, layout.gates]: the transposed weights over the bias.
Buffer pack_forward(const Problem& problem, const Layout& layout) {
    const int64_t H = problem.hidden;
    Buffer packed((H + 1) * layout.gates);
    float* p = packed.get();
    std::fill(p, p + (H + 1) * layout.gates, 0.0f);
    transpose(3 * H, H, problem.weight, H, p, layout.gates);
    if (problem.bias) std::copy(problem.bias, problem.bias + 3 * H, p + H * layout.gates);
    return packed;
}

// [3H, layout.flow]
Buffer pack_backward(const Problem& problem, const Layout& layout) {
    const int64_t H = problem.hidden;
    Buffer packed(3 * H * layout.flow);
    float* p = packed.get();
    std::fill(p, p + 3 * H * layout.flow, 0.0f);
    for (int64_t j = 0; j < 3 * H; ++j)
        std::copy(problem.weight + j * H, problem.weight + (j + 1) * H, p + j * layout.flow);
    return packed;
}

int threads_for(const Problem& problem, int threads) {
    return problem.pairs * 3 * problem.hidden * problem.hidden < SMALL ? 1 : std::max(threads, 1);
}

Status forward(const Problem& problem, const Path& path, int threads, Team team, float* last, float* states) {
    Rows rows;
    if (!read_rows(problem, rows)) return does_not_fit;
    longest_first(rows);
    const Layout layout(problem.hidden, path.lanes);
    const Buffer packed = pack_forward(problem, layout);
    const Weights weights{packed.get(), nullptr};
    threads = threads_for(problem, threads);

    // Two tiles a thread at least, so that no thread waits for long.
    const int64_t share = (problem.rows + 2 * threads - 1) / (2 * threads);
    const int64_t tile_size = threads == 1 ? TILE : std::clamp<int64_t>((share + 5) / 6 * 6, 6, TILE);
    const std::vector<Range> ranges = tiles(problem.rows, tile_size);
    const int64_t floats = path.gru.forward_scratch(problem.hidden, tile_size);
    const Buffer scratch(threads * floats);
    parallel(team, threads, static_cast<int64_t>(ranges.size()), [&](int64_t item, int worker) {
        const Range tile = ranges[item];
        path.gru.forward(problem, weights, rows.data() + tile.begin, tile.end - tile.begin, last, states,
                     scratch.get() + worker * floats);
    });
    return done;
}

Status backward(const Problem& problem, const Path& path, int threads, Team team, const Gradients& gradients,
                float* weight, float* bias) {
    const int64_t H = problem.hidden;
    Rows read;
    if (!read_rows(problem, read)) return does_not_fit;
    const BackwardSchedule schedule(std::move(read), TILE, PARTS, gradients.gates, problem.steps, 3 * H);
    const Layout layout(H, path.lanes);
    const Buffer forward_weights = pack_forward(problem, layout), backward_weights = pack_backward(problem, layout);
    const Weights weights{forward_weights.get(), backward_weights.get()};
    threads = threads_for(problem, threads);

    const int64_t floats = path.gru.backward_scratch(H, TILE);
    const Buffer scratch(threads * floats);
    const int64_t parts = static_cast<int64_t>(schedule.parts.size());
    const int64_t partial = (H + 1) * layout.gates;
    const Buffer partials(std::max<int64_t>(parts, 1) * partial);  // [parts, H + 1, layout.gates]
    if (parts == 0) std::fill(partials.get(), partials.get() + partial, 0.0f);
    parallel(team, threads, parts, [&](int64_t item, int worker) {
        float* const own = partials.get() + item * partial;
        std::fill(own, own + partial, 0.0f);
        for (int64_t i = schedule.parts[item].begin; i < schedule.parts[item].end; ++i) {
            const Range tile = schedule.tiles[i];
            path.gru.backward(problem, weights, schedule.rows.data() + tile.begin, tile.end - tile.begin, gradients, own,
                          scratch.get() + worker * floats);
        }
    });
    float* const total = partials.get();
    for (int64_t part = 1; part < parts; ++part)
        for (int64_t i = 0; i < partial; ++i) total[i] += partials.get()[part * partial + i];
    transpose(H, 3 * H, total, layout.gates, weight, H);
    if (bias) std::copy(total + H * layout.gates, total + H * layout.gates + 3 * H, bias);
    return done;
}

}  // namespace
}  // namespace dien::gru

// What attention_gru.py calls. `path` counts from the plainest; `team` is null or GOMP_parallel.

// last [B, H]; states [P, H], or null where they are not kept.
EXPORT int32_t dien_gru_forward(const dien::gru::Problem* problem, int32_t path, int32_t threads, dien::Team team,
                                float* last, float* states) {
    return dien::guarded([&] { return dien::gru::forward(*problem, *dien::paths[path], threads, team, last, states); });
}

// weight [3H, H], bias [3H] or null: their gradients.
EXPORT int32_t dien_gru_backward(const dien::gru::Problem* problem, int32_t path, int32_t threads, dien::Team team,
                                 const dien::gru::Gradients* gradients, float* weight, float* bias) {
    return dien::guarded([&] {
        return dien::gru::backward(*problem, *dien::paths[path], threads, team, *gradients, weight, bias);
    });
}

// The C interface of attention_gru: checks the rows, chooses the instructions and shares out the tiles.
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "cpu/interface.h"
#include "cpu/machine.h"
#include "cpu/parts.h"
#include "cpu/schedule.h"

namespace dien::gru {
namespace {

// Rows of a tile. More of them read the weights less often, fewer stay in the nearest cache.
constexpr int64_t TILE = 36;
// Below this many multiplications, about 50 microseconds of one core, a second thread is not worth waking.
constexpr int64_t SMALL = 2'000'000;

// Where the gates r, u, n, in which weights and gradients come, stand among the sums n, r, u.
int64_t place(int64_t gate) { return (gate + 1) % 3; }

Buffer pack_forward(const Problem& problem, const Layout& layout) {
    const int64_t H = problem.hidden, row = layout.sums;
    Buffer packed = zeroed(layout.depth() * row);
    float* const p = packed.get();
    float* const bias = p + H * row;
    for (int64_t gate = 0; gate < 3; ++gate) {
        transpose(H, H, problem.weight_hh + gate * H * H, H, p + place(gate) * H, row);
        if (problem.bias_hh) std::copy_n(problem.bias_hh + gate * H, H, bias + place(gate) * H);
    }
    if (layout.projects) {
        transpose(3 * H, layout.inputs, problem.weight_ih, layout.inputs, p + (H + 1) * row + H, row);
        for (int64_t j = 0; problem.bias_ih && j < 3 * H; ++j) bias[H + j] += problem.bias_ih[j];
    }
    return packed;
}

Buffer pack_backward_state(const Problem& problem, const Layout& layout) {
    const int64_t H = problem.hidden;
    Buffer packed = zeroed(3 * H * layout.state);
    for (int64_t gate = 0; gate < 3; ++gate)
        for (int64_t j = 0; j < H; ++j)
            std::copy_n(problem.weight_hh + (gate * H + j) * H, H, packed.get() + (place(gate) * H + j) * layout.state);
    return packed;
}

Buffer pack_backward_x(const Problem& problem, const Layout& layout) {
    Buffer packed = zeroed(layout.projects ? 3 * problem.hidden * layout.x : 0);
    if (layout.projects)
        for (int64_t j = 0; j < 3 * problem.hidden; ++j)
            std::copy_n(problem.weight_ih + j * layout.inputs, layout.inputs, packed.get() + j * layout.x);
    return packed;
}

// From the sum of all parts to the gradients of weights and biases.
void unpack(const Layout& layout, const float* part, const Gradients& to) {
    const int64_t H = layout.hidden, D = layout.inputs;
    for (int64_t gate = 0; gate < 3; ++gate) {
        const float* from = part + place(gate) * H;
        transpose(H, H, from, layout.recurrent, to.dweight_hh + gate * H * H, H);
        if (to.dbias_hh) std::copy_n(from + H * layout.recurrent, H, to.dbias_hh + gate * H);
    }
    if (layout.projects) {
        const int64_t columns = layout.sums - layout.skipped;
        const float* from = part + (H + 1) * layout.recurrent + H - layout.skipped;
        if (to.dbias_ih) std::copy_n(from, 3 * H, to.dbias_ih);
        transpose(D, 3 * H, from + columns, columns, to.dweight_ih, D);
    }
}

int64_t multiplications(const Problem& problem) {
    return problem.pairs * 3 * problem.hidden * (problem.hidden + (problem.projects ? problem.inputs : 0));
}

// Has new memory come in large pages: to write what forward keeps would otherwise cost as much as to compute it.
void in_large_pages(float* data, int64_t floats) {
#if defined(__linux__)
    constexpr uintptr_t page = 1 << 21;
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
    const uintptr_t end = reinterpret_cast<uintptr_t>(data + floats) / page * page;
    if (data && begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

Status forward(const Problem& problem, const Machine& machine, const Results& results) {
    Rows rows;
    if (!read_rows(problem, rows)) return mismatch;
    longest_first(rows);
    const Layout layout(problem, machine.isa.lanes);
    const Buffer packed = pack_forward(problem, layout);
    const Weights weights{packed.get(), nullptr, nullptr};
    const int threads = machine.threads_for(multiplications(problem), SMALL);
    in_large_pages(results.activations, problem.pairs * 4 * problem.hidden);

    // Two tiles a thread at least, so that no thread waits for long.
    const int64_t even = divided(problem.rows, 2 * threads);
    const int64_t tile_size = threads == 1 ? TILE : std::clamp<int64_t>(divided(even, 6) * 6, 6, TILE);
    const std::vector<Range> ranges = tiles(problem.rows, tile_size);
    const int64_t floats = machine.isa.gru.forward_scratch(layout, tile_size);
    const Buffer scratch(threads * floats);
    parallel(machine.pool, threads, static_cast<int64_t>(ranges.size()), [&](int64_t item, int worker) {
        const Range tile = ranges[item];
        machine.isa.gru.forward(problem, weights, rows.data() + tile.begin, tile.end - tile.begin, results,
                                scratch.get() + worker * floats);
    });
    return done;
}

Status backward(const Problem& problem, const Machine& machine, const Gradients& gradients) {
    Rows read;
    if (!read_rows(problem, read)) return mismatch;
    const Layout layout(problem, machine.isa.lanes);
    const BackwardSchedule schedule(std::move(read), TILE, PARTS, gradients.dx, problem.steps,
                                    layout.projects ? layout.inputs : 3 * problem.hidden);
    const Buffer backward_state = pack_backward_state(problem, layout), backward_x = pack_backward_x(problem, layout);
    const Weights weights{nullptr, backward_state.get(), backward_x.get()};
    const int threads = machine.threads_for(multiplications(problem), SMALL);

    const int64_t floats = machine.isa.gru.backward_scratch(layout, TILE);
    const Buffer scratch(threads * floats);
    const int64_t parts = static_cast<int64_t>(schedule.parts.size());
    const Parts sums(parts, layout.part());
    parallel(machine.pool, threads, parts, [&](int64_t item, int worker) {
        for (int64_t i = schedule.parts[item].begin; i < schedule.parts[item].end; ++i) {
            const Range tile = schedule.tiles[i];
            machine.isa.gru.backward(problem, weights, schedule.rows.data() + tile.begin, tile.end - tile.begin,
                                     gradients, sums.part(item), scratch.get() + worker * floats);
        }
    });
    unpack(layout, sums.total(), gradients);
    return done;
}

}  // namespace
}  // namespace dien::gru

// What cpu.py calls.

EXPORT int32_t dien_gru_forward(const dien::gru::Problem* problem, int32_t isa, int32_t threads, dien::ThreadPool pool,
                                const dien::gru::Results* results) {
    return dien::guarded([&] { return dien::gru::forward(*problem, {isa, threads, pool}, *results); });
}

EXPORT int32_t dien_gru_backward(const dien::gru::Problem* problem, int32_t isa, int32_t threads, dien::ThreadPool pool,
                                 const dien::gru::Gradients* gradients) {
    return dien::guarded([&] { return dien::gru::backward(*problem, {isa, threads, pool}, *gradients); });
}

// The C interface of the MLP attention: checks the rows and shares out tiles of their steps.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "cpu/interface.h"
#include "cpu/machine.h"
#include "cpu/parts.h"
#include "cpu/schedule.h"
#include "mlp/pack.h"

namespace dien::attention {
namespace {

constexpr int64_t TILE = 48;    // pairs, as in auxiliary_loss.cpp
constexpr int64_t SMALL = 512;  // pairs not worth a second thread

Packed pack(const Problem& problem, int64_t lanes, mlp::Packer& packer) {
    const int64_t H = problem.hidden, W = problem.tail.widths[0];
    Packed packed{};
    packed.tail = mlp::pack(problem.tail, lanes, packer);
    const int64_t Z = packed.tail.z[0];
    packed.weight_state = packer.transposed(W, H, problem.weight_state, H, Z);
    packed.weight_product = packer.transposed(W, H, problem.weight_product, H, Z);
    packed.backward_state = packer.padded(W, H, problem.weight_state, H, whole(H, lanes));
    packed.backward_product = packer.padded(W, H, problem.weight_product, H, whole(H, lanes));
    return packed;
}

// The steps of rows cut into pieces, and these into tiles.
struct Tiles {
    std::vector<Piece> pieces;
    std::vector<Range> tiles;  // of pieces

    void add(const Row& row) {
        for (int64_t t = 0; t < row.length;) {
            const int64_t count = std::min(row.length - t, TILE - filled_);
            pieces.push_back({row.index, row.start + t, row.pair + t, count, row.adds});
            t += count;
            filled_ += count;
            if (filled_ == TILE) close();
        }
    }

    void close() {
        const int64_t end = static_cast<int64_t>(pieces.size()), begin = tiles.empty() ? 0 : tiles.back().end;
        if (end > begin) tiles.push_back({begin, end});
        filled_ = 0;
    }

  private:
    int64_t filled_ = 0;
};

struct Prepared {
    Buffer weights;
    Packed packed;
    int threads;
    int64_t floats;
    Buffer scratch;

    // Scratch of each thread: that of a tile, or of a row whose steps stand side by side.
    Prepared(const Problem& problem, const Machine& machine, bool by_row = false)
        : weights(size(problem, machine.isa.lanes)),
          packed(packed_into(weights.get(), problem, machine.isa.lanes)),
          threads(machine.threads_for(problem.pairs, SMALL)),
          floats(by_row ? machine.isa.attention.row_scratch(problem, packed.tail)
                        : machine.isa.attention.scratch(problem, packed.tail, TILE)),
          scratch(this->threads * floats) {}

  private:
    static Packed packed_into(float* to, const Problem& problem, int64_t lanes) {
        mlp::Packer packer(to);
        return pack(problem, lanes, packer);
    }
    static int64_t size(const Problem& problem, int64_t lanes) {
        mlp::Packer count(nullptr);
        pack(problem, lanes, count);
        return count.used;
    }
};

// Whether rows are long enough to fill lanes with their steps, and share them, so that to transpose the states is worth
// it: the candidates of a request.
bool by_row(const Problem& problem) { return problem.pairs >= 16 * problem.rows && problem.pairs >= 4 * problem.steps; }

void forward_by_row(const Problem& problem, const Machine& machine, const Rows& rows, float* logits) {
    const int64_t H = problem.hidden;
    // An odd number of cache lines: at a power of two the rows of the transpose would fall into one set of the cache.
    const int64_t stride = 16 * ((whole(problem.steps, 16) / 16 + 1) | 1);
    const Buffer states = zeroed((H + 1) * stride);
    transpose(problem.steps, H, problem.states, H, states.get(), stride);
    std::fill_n(states.get() + H * stride, problem.steps, 1.0f);
    const Prepared prepared(problem, machine, true);
    parallel(machine.pool, prepared.threads, problem.rows, [&](int64_t row, int worker) {
        machine.isa.attention.forward_row(problem, prepared.packed, states.get(), stride, rows[row], logits,
                                          prepared.scratch.get() + worker * prepared.floats);
    });
}

Status forward(const Problem& problem, const Machine& machine, float* logits) {
    Rows rows;
    if (!read_rows(problem, rows)) return mismatch;
    if (by_row(problem)) {
        forward_by_row(problem, machine, rows, logits);
        return done;
    }
    const Prepared prepared(problem, machine);
    Tiles tiles;
    for (const Row& row : rows) tiles.add(row);
    tiles.close();
    parallel(machine.pool, prepared.threads, static_cast<int64_t>(tiles.tiles.size()), [&](int64_t item, int worker) {
        const Range tile = tiles.tiles[item];
        machine.isa.attention.forward(problem, prepared.packed, tiles.pieces.data() + tile.begin, tile.end - tile.begin,
                                      logits, prepared.scratch.get() + worker * prepared.floats);
    });
    return done;
}

Status backward(const Problem& problem, const Machine& machine, const Gradients& gradients) {
    Rows read;
    if (!read_rows(problem, read)) return mismatch;
    const int64_t H = problem.hidden, W = problem.tail.widths[0];
    std::fill_n(gradients.dtargets, problem.rows * H, 0.0f);
    std::fill_n(gradients.dbias, problem.rows * W, 0.0f);
    // Rows that read common steps run on one thread, one after the other.
    const BackwardSchedule schedule(std::move(read), TILE, PARTS, gradients.dstates, problem.steps, H);
    Tiles tiles;
    std::vector<Range> parts;  // of tiles
    for (const Range part : schedule.parts) {
        const int64_t begin = static_cast<int64_t>(tiles.tiles.size());
        for (int64_t i = part.begin; i < part.end; ++i)
            for (int64_t r = schedule.tiles[i].begin; r < schedule.tiles[i].end; ++r) tiles.add(schedule.rows[r]);
        tiles.close();
        parts.push_back({begin, static_cast<int64_t>(tiles.tiles.size())});
    }
    const Prepared prepared(problem, machine);
    const int64_t Z = prepared.packed.tail.z[0];
    const Parts sums(static_cast<int64_t>(parts.size()), 2 * H * Z + prepared.packed.tail.gradients);
    parallel(machine.pool, prepared.threads, static_cast<int64_t>(parts.size()), [&](int64_t part, int worker) {
        for (int64_t i = parts[part].begin; i < parts[part].end; ++i) {
            const Range tile = tiles.tiles[i];
            machine.isa.attention.backward(problem, prepared.packed, tiles.pieces.data() + tile.begin,
                                           tile.end - tile.begin, gradients, sums.part(part),
                                           prepared.scratch.get() + worker * prepared.floats);
        }
    });
    const float* total = sums.total();
    transpose(H, W, total, Z, gradients.dweight_state, H);
    transpose(H, W, total + H * Z, Z, gradients.dweight_product, H);
    mlp::unpack(prepared.packed.tail, total + 2 * H * Z, gradients.tail);
    return done;
}

}  // namespace
}  // namespace dien::attention

// logits [P]
EXPORT int32_t dien_attention_forward(const dien::attention::Problem* problem, int32_t isa, int32_t threads,
                                      dien::ThreadPool pool, float* logits) {
    return dien::guarded([&] { return dien::attention::forward(*problem, {isa, threads, pool}, logits); });
}

EXPORT int32_t dien_attention_backward(const dien::attention::Problem* problem, int32_t isa, int32_t threads,
                                       dien::ThreadPool pool, const dien::attention::Gradients* gradients) {
    return dien::guarded([&] { return dien::attention::backward(*problem, {isa, threads, pool}, *gradients); });
}

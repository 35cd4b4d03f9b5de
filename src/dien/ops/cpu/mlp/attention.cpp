// The C interface of the MLP attention: checks the rows and shares out tiles of their steps.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../gru/schedule.h"
#include "../interface.h"
#include "../parallel.h"
#include "../parts.h"
#include "../path.h"
#include "pack.h"

namespace dien::mlp {
namespace {

constexpr int64_t TILE = 48;  // pairs, as in auxiliary.cpp
constexpr int64_t SMALL = 512;  // pairs not worth a second thread

using gru::Range;
using gru::Row;
using gru::Rows;
using gru::read_rows;

PackedAttention pack(const Attention& problem, int64_t lanes, Packer& packer) {
    const int64_t H = problem.hidden, W = problem.tower.widths[0];
    PackedAttention packed{};
    packed.tower = pack(problem.tower, lanes, packer);
    const int64_t Z = packed.tower.z[0];
    packed.of_state = packer.transposed(W, H, problem.of_state, H, Z);
    packed.of_product = packer.transposed(W, H, problem.of_product, H, Z);
    packed.back_state = packer.padded(W, H, problem.of_state, H, whole(H, lanes));
    packed.back_product = packer.padded(W, H, problem.of_product, H, whole(H, lanes));
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
    PackedAttention packed;
    int threads;
    int64_t floats;
    Buffer scratch;

    Prepared(const Attention& problem, const Path& path, int threads)
        : weights(size(problem, path.lanes)),
          packed(packed_into(weights.get(), problem, path.lanes)),
          threads(problem.pairs < SMALL ? 1 : std::max(threads, 1)),
          floats(path.mlp.attention_scratch(problem, packed.tower, TILE)),
          scratch(this->threads * floats) {}

  private:
    static PackedAttention packed_into(float* to, const Attention& problem, int64_t lanes) {
        Packer packer(to);
        return pack(problem, lanes, packer);
    }
    static int64_t size(const Attention& problem, int64_t lanes) {
        Packer count(nullptr);
        pack(problem, lanes, count);
        return count.used;
    }
};

Status forward(const Attention& problem, const Path& path, int threads, Team team, float* logits) {
    Rows rows;
    if (!read_rows(problem, rows)) return does_not_fit;
    const Prepared prepared(problem, path, threads);
    Tiles tiles;
    for (const Row& row : rows) tiles.add(row);
    tiles.close();
    parallel(team, prepared.threads, static_cast<int64_t>(tiles.tiles.size()), [&](int64_t item, int worker) {
        const Range tile = tiles.tiles[item];
        path.mlp.attention_forward(problem, prepared.packed, tiles.pieces.data() + tile.begin, tile.end - tile.begin,
                                   logits, prepared.scratch.get() + worker * prepared.floats);
    });
    return done;
}

Status backward(const Attention& problem, const Path& path, int threads, Team team, const AttentionGradients& gradients) {
    Rows read;
    if (!read_rows(problem, read)) return does_not_fit;
    const int64_t H = problem.hidden, W = problem.tower.widths[0];
    std::memset(gradients.targets, 0, problem.rows * H * sizeof(float));
    std::memset(gradients.bias, 0, problem.rows * W * sizeof(float));
    // Rows that read common steps run on one thread, one after the other.
    const gru::BackwardSchedule schedule(std::move(read), TILE, PARTS, gradients.states, problem.steps, H);
    Tiles tiles;
    std::vector<Range> parts;  // of tiles
    for (const Range part : schedule.parts) {
        const int64_t begin = static_cast<int64_t>(tiles.tiles.size());
        for (int64_t i = part.begin; i < part.end; ++i)
            for (int64_t r = schedule.tiles[i].begin; r < schedule.tiles[i].end; ++r) tiles.add(schedule.rows[r]);
        tiles.close();
        parts.push_back({begin, static_cast<int64_t>(tiles.tiles.size())});
    }
    const Prepared prepared(problem, path, threads);
    const int64_t Z = prepared.packed.tower.z[0];
    const Parts sums(static_cast<int64_t>(parts.size()), 2 * H * Z + prepared.packed.tower.gradients);
    parallel(team, prepared.threads, static_cast<int64_t>(parts.size()), [&](int64_t part, int worker) {
        for (int64_t i = parts[part].begin; i < parts[part].end; ++i) {
            const Range tile = tiles.tiles[i];
            path.mlp.attention_backward(problem, prepared.packed, tiles.pieces.data() + tile.begin,
                                        tile.end - tile.begin, gradients, sums.part(part),
                                        prepared.scratch.get() + worker * prepared.floats);
        }
    });
    const float* total = sums.total();
    transpose(H, W, total, Z, gradients.of_state, H);
    transpose(H, W, total + H * Z, Z, gradients.of_product, H);
    unpack(prepared.packed.tower, total + 2 * H * Z, gradients.tower);
    return done;
}

}  // namespace
}  // namespace dien::mlp

// logits [P]
EXPORT int32_t dien_attention_forward(const dien::mlp::Attention* problem, int32_t path, int32_t threads,
                                      dien::Team team, float* logits) {
    return dien::guarded([&] { return dien::mlp::forward(*problem, *dien::paths[path], threads, team, logits); });
}

EXPORT int32_t dien_attention_backward(const dien::mlp::Attention* problem, int32_t path, int32_t threads,
                                       dien::Team team, const dien::mlp::AttentionGradients* gradients) {
    return dien::guarded([&] { return dien::mlp::backward(*problem, *dien::paths[path], threads, team, *gradients); });
}

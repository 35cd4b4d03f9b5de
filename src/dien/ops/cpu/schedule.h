// Which rows run together, and in which order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "cpu/row.h"

namespace dien {

using Rows = std::vector<Row>;

// Orders by a key between 0 and largest, keeping the order of equals, in linear time.
template <class T, class Key>
void counting_sort(std::vector<T>& items, int64_t largest, Key key) {
    std::vector<int64_t> place(largest + 2, 0);
    for (const T& item : items) ++place[key(item) + 1];
    for (int64_t k = 0; k <= largest; ++k) place[k + 1] += place[k];
    std::vector<T> sorted(items.size());
    for (const T& item : items) sorted[place[key(item)]++] = item;
    items.swap(sorted);
}

// Reads the rows of a problem; false where one reaches beyond the steps, or pairs are not one for each step of each.
template <class Problem>
bool read_rows(const Problem& problem, Rows& rows) {
    int64_t pair = 0;
    rows.resize(problem.rows);
    for (int64_t b = 0; b < problem.rows; ++b) {
        const int64_t start = problem.starts[b], length = problem.lengths[b];
        if (!reads_steps(start, length, problem.steps) || length > problem.pairs - pair) return false;
        rows[b] = {b, start, length, pair, false};
        pair += length;
    }
    return pair == problem.pairs;
}

inline void longest_first(Rows& rows) {
    int64_t longest = 0;
    for (const Row& row : rows) longest = std::max(longest, row.length);
    counting_sort(rows, longest, [=](const Row& row) { return longest - row.length; });
}

inline std::vector<Range> tiles(int64_t rows, int64_t size) {
    std::vector<Range> found;
    for (int64_t begin = 0; begin < rows; begin += size) found.push_back({begin, std::min(rows, begin + size)});
    return found;
}

// Backward writes the gradient of a step once for every row that reads it. Rows that read common steps, a
// cluster, therefore run on one thread in a fixed order, and results do not depend on the number of threads.
struct BackwardSchedule {
    Rows rows;
    std::vector<Range> tiles;  // of rows, longest first
    std::vector<Range> parts;  // of tiles, each part run by one thread

    // Takes the rows apart into at most about `most_parts` parts of equal work. Gradients of steps that no row
    // reads, or to which every row adds, become zero here: dsteps [N, width].
    BackwardSchedule(Rows all, int64_t tile_size, int64_t most_parts, float* dsteps, int64_t steps, int64_t width) {
        const auto empty = std::stable_partition(all.begin(), all.end(), [](const Row& r) { return r.length > 0; });
        const Rows without_steps(empty, all.end());
        all.erase(empty, all.end());
        std::vector<Cluster> clusters = find_clusters(all, dsteps, steps, width);

        int64_t pairs = 0;
        for (const Row& row : all) pairs += row.length;
        const int64_t enough = pairs / most_parts + 1;
        int64_t tile_begin = 0, part_begin = 0, part_pairs = 0;
        const auto close_tile = [&] {
            const int64_t end = static_cast<int64_t>(rows.size());
            if (end == tile_begin) return;
            std::stable_sort(rows.begin() + tile_begin, rows.end(),
                             [](const Row& a, const Row& b) { return a.length > b.length; });
            for (; tile_begin < end; tile_begin += tile_size)
                tiles.push_back({tile_begin, std::min(end, tile_begin + tile_size)});
            tile_begin = end;
        };
        const auto close_part = [&] {
            const int64_t end = static_cast<int64_t>(tiles.size());
            if (end > part_begin) parts.push_back({part_begin, end});
            part_begin = end;
            part_pairs = 0;
        };
        rows.reserve(all.size() + without_steps.size());
        for (const Cluster& cluster : clusters) {
            const int64_t begun = static_cast<int64_t>(rows.size()) - tile_begin;
            if (begun + cluster.rows.end - cluster.rows.begin > tile_size) {
                close_tile();
                if (part_pairs >= enough) close_part();
            }
            for (int64_t i = cluster.rows.begin; i < cluster.rows.end; ++i) {
                rows.push_back(all[i]);
                part_pairs += all[i].length;
            }
        }
        rows.insert(rows.end(), without_steps.begin(), without_steps.end());
        close_tile();
        close_part();
    }

  private:
    struct Cluster {
        Range rows;
        int64_t longest;
    };

    // Orders rows by their first step and says which of them add. Clusters come longest first.
    static std::vector<Cluster> find_clusters(Rows& rows, float* dsteps, int64_t steps, int64_t width) {
        const auto by_start = [](const Row& a, const Row& b) { return a.start < b.start; };
        if (!std::is_sorted(rows.begin(), rows.end(), by_start))
            counting_sort(rows, steps, [](const Row& row) { return row.start; });
        const auto zero = [&](int64_t begin, int64_t end) {
            if (begin < end) std::memset(dsteps + begin * width, 0, (end - begin) * width * sizeof(float));
        };
        std::vector<Cluster> clusters;
        int64_t written = 0, longest = 0;  // steps before `written` are taken care of
        const int64_t count = static_cast<int64_t>(rows.size());
        for (int64_t begin = 0, end; begin < count; begin = end) {
            Cluster cluster{{begin, begin}, 0};
            int64_t reach = rows[begin].start + 1;
            bool alike = true;
            for (end = begin; end < count && rows[end].start < reach; ++end) {
                reach = std::max(reach, rows[end].start + rows[end].length);
                alike &= rows[end].start == rows[begin].start && rows[end].length == rows[begin].length;
                cluster.longest = std::max(cluster.longest, rows[end].length);
            }
            cluster.rows.end = end;
            zero(written, alike ? rows[begin].start : reach);
            for (int64_t i = begin; i < end; ++i) rows[i].adds = !alike || i > begin;
            written = reach;
            longest = std::max(longest, cluster.longest);
            clusters.push_back(cluster);
        }
        zero(written, steps);
        counting_sort(clusters, longest, [=](const Cluster& cluster) { return longest - cluster.longest; });
        return clusters;
    }
};

}  // namespace dien

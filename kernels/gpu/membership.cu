// Whether paths join pairs, and how many: a warp a pair.
#include "reach.cuh"

// Looks back from each target for what is reached from its source. Pairs whose source, number
// place[pair] of the distinct ones, is not in [begin, end) are left to other launches; without
// places the level at which walks meet is 1, and the source's row is all that is needed.
extern "C" __global__ void connect(
    const u64* forward, const u64* backward, i64 n_steps, i64 middle, const u64* first,
    const i64* sources, const i64* targets, i64 n_pairs, const i64* place, i64 begin, i64 end,
    const u32* words, i64 words_each, bool* connected
) {
    i64 pair = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 32;
    if (pair >= n_pairs || (place && (place[pair] < begin || place[pair] >= end))) return;
    if (place) words += (place[pair] - begin) * words_each;
    Marks marks = marks_at(forward, sources[pair], words, first, middle);
    bool found = search(backward, n_steps, middle, targets[pair], marks).found;
    if (lane_of_warp() == 0) connected[pair] = found;
}

// Paths from a source to the nodes of level `middle`: at level 1 entries of its row.
struct Counts {
    Row row;
    const u64* deeper;
};

// How often a column stands in a row. For one thread.
__device__ u64 multiplicity(const Row& row, i64 column) {
    i64 from = lower_bound(row.columns, row.begin, row.end, column);
    return lower_bound(row.columns, from, row.end, column + 1) - from;
}

// Sum of the counts of a row's columns, the columns numbered `from`, `from + by`, ...
__device__ u64 sum_row(const Row& row, const Counts& counts, i64 from, i64 by) {
    u64 total = 0;
    bool turned = !counts.deeper && counts.row.end - counts.row.begin < row.end - row.begin;
    Row taken = turned ? counts.row : row;
    for (i64 p = taken.begin + from; p < taken.end; p += by) {
        i64 column = taken.columns[p];
        total += counts.deeper ? counts.deeper[column] : multiplicity(turned ? row : counts.row, column);
    }
    return total;
}

// Counts the paths of each pair; see connect. Over two steps back every lane takes whole rows unless
// they are long.
extern "C" __global__ void count_paths(
    const u64* forward, const u64* backward, i64 n_steps, i64 middle, const u64* first,
    const i64* sources, const i64* targets, i64 n_pairs, const i64* place, i64 begin, i64 end,
    const u64* deeper, i64 counts_each, i64* n_paths
) {
    i64 pair = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 32, lane = lane_of_warp();
    if (pair >= n_pairs || (place && (place[pair] < begin || place[pair] >= end))) return;
    Counts counts = {row_of(forward, 0, sources[pair]), nullptr};
    if (place) counts.deeper = deeper + (place[pair] - begin) * counts_each + (first[middle] - first[2]);
    i64 target = targets[pair];
    u64 total = 0;
    if (n_steps == middle) {
        if (lane == 0) total = counts.deeper ? counts.deeper[target] : multiplicity(counts.row, target);
    } else if (n_steps == middle + 1) {
        total = sum_row(row_of(backward, middle, target), counts, lane, 32);
    } else {
        Row nodes = row_of(backward, middle + 1, target);
        for (i64 base = nodes.begin; base < nodes.end; base += 32) {
            Row row = {nullptr, 0, 0};
            if (base + lane < nodes.end) row = row_of(backward, middle, nodes.columns[base + lane]);
            bool together = row.end - row.begin > ALONE;
            if (!together) total += sum_row(row, counts, 0, 1);
            for (u32 left = __ballot_sync(FULL_WARP, together); left; left &= left - 1) {
                const INDEX* columns = (const INDEX*)backward[2 * middle + 1];
                i64 start = __shfl_sync(FULL_WARP, row.begin, __ffs(left) - 1);
                i64 stop = __shfl_sync(FULL_WARP, row.end, __ffs(left) - 1);
                total += sum_row({columns, start, stop}, counts, lane, 32);
            }
        }
    }
    total = warp_sum(total);
    if (lane == 0) n_paths[pair] = total;
}

// What the first steps reach from each of many sources, as bitmaps or as numbers of paths.
#include "reach.cuh"

// A warp marks the columns of a row.
__device__ void mark_row(const Row& row, u32* words) {
    for (i64 p = row.begin + lane_of_warp(); p < row.end; p += 32) {
        i64 node = row.columns[p];
        u32 bit = 1u << (node & 31);
        if (!(words[node >> 5] & bit)) atomicOr(words + (node >> 5), bit);
    }
}

// A warp adds to the counts of the columns of a row; integers, so in any order.
__device__ void add_row(const Row& row, u64 n_paths, u64* counts) {
    for (i64 p = row.begin + lane_of_warp(); p < row.end; p += 32)
        atomicAdd(counts + row.columns[p], n_paths);
}

// A block a source marks, in words that are zero, what is reached at levels 2..depth. Its warps take
// the nodes of a level in turn, those of level 1 from the source's row, others from their bitmap.
extern "C" __global__ void mark(
    const u64* forward, i64 depth, const u64* first, const i64* sources, i64 words_each, u32* words
) {
    u32* own = words + blockIdx.x * words_each;
    int warp = threadIdx.x / 32, n_warps = blockDim.x / 32;
    Row from = row_of(forward, 0, sources[blockIdx.x]);
    for (i64 p = from.begin + warp; p < from.end; p += n_warps)
        mark_row(row_of(forward, 1, from.columns[p]), words_at(own, first, 2));
    for (i64 level = 2; level < depth; ++level) {
        __syncthreads();
        u32 *here = words_at(own, first, level), *there = words_at(own, first, level + 1);
        i64 n_words = there - here;
        for (i64 base = 32 * warp; base < n_words; base += 32 * n_warps) {
            u32 mine = base + lane_of_warp() < n_words ? here[base + lane_of_warp()] : 0;
            for (u32 left = __ballot_sync(FULL_WARP, mine != 0); left; left &= left - 1) {
                int place = __ffs(left) - 1;
                for (u32 word = __shfl_sync(FULL_WARP, mine, place); word; word &= word - 1)
                    mark_row(row_of(forward, level, 32 * (base + place) + __ffs(word) - 1), there);
            }
        }
    }
}

// A block a source counts, in counts that are zero, the paths to the nodes of levels 2..depth,
// modulo 2^64, where level j begins at first[j] - first[2].
extern "C" __global__ void count_reach(
    const u64* forward, i64 depth, const u64* first, const i64* sources, i64 counts_each, u64* counts
) {
    u64* own = counts + blockIdx.x * counts_each;
    int warp = threadIdx.x / 32, n_warps = blockDim.x / 32;
    Row from = row_of(forward, 0, sources[blockIdx.x]);
    for (i64 p = from.begin + warp; p < from.end; p += n_warps)
        add_row(row_of(forward, 1, from.columns[p]), 1, own);
    for (i64 level = 2; level < depth; ++level) {
        __syncthreads();
        u64 *here = own + (first[level] - first[2]), *there = own + (first[level + 1] - first[2]);
        for (i64 base = 32 * warp; base < there - here; base += 32 * n_warps) {
            u64 mine = here[base + lane_of_warp()];
            for (u32 left = __ballot_sync(FULL_WARP, mine != 0); left; left &= left - 1) {
                int place = __ffs(left) - 1;
                u64 n_paths = __shfl_sync(FULL_WARP, mine, place);
                add_row(row_of(forward, level, base + place), n_paths, there);
            }
        }
    }
}

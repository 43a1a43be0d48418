// Paths counted, numbered, and one told apart for every joined pair.
#include "path.cuh"

// Rows with more entries are summed by all threads of a block.
#define LONG_ROW 1024
// Threads that share a short row.
#define TEAM 8

__device__ __forceinline__ i64 add_paths(i64 a, i64 b) {
    i64 sum = a + b;
    return sum < MOST_PATHS ? sum : MOST_PATHS;
}

// The sum, cut off at MOST_PATHS, of the weights of columns `from`, `from + by`, ... of a row.
__device__ i64 add_columns(const INDEX* indices, i64 begin, i64 end, const i64* weights, int by) {
    i64 total = 0;
    for (i64 p = begin; p < end; p += by) total = add_paths(total, weights[indices[p]]);
    return total;
}

// Sums rows, all or those given: TEAM threads a row, then the block's threads together for each of
// its long rows. Sums cut off are the same in any order.
extern "C" __global__ void sum_rows(
    const i64* indptr, const INDEX* indices, const i64* onward, const i64* rows, i64 n_rows, i64* counts
) {
    __shared__ i64 long_rows[1024 / TEAM];
    __shared__ i64 parts[32];
    __shared__ int n_long;
    if (threadIdx.x == 0) n_long = 0;
    __syncthreads();
    i64 r = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / TEAM, begin = 0, end = 0;
    int member = threadIdx.x % TEAM;
    if (r < n_rows) {
        i64 row = rows ? rows[r] : r;
        begin = indptr[row], end = indptr[row + 1];
    }
    bool is_long = end - begin > LONG_ROW;
    i64 total = is_long ? 0 : add_columns(indices, begin + member, end, onward, TEAM);
    for (int step = TEAM / 2; step > 0; step >>= 1)
        total = add_paths(total, __shfl_xor_sync(FULL_WARP, total, step));
    if (member == 0 && r < n_rows) {
        if (is_long) long_rows[atomicAdd(&n_long, 1)] = r;
        else counts[r] = total;
    }
    __syncthreads();
    int n = n_long;
    for (int k = 0; k < n; ++k) {
        i64 row = rows ? rows[long_rows[k]] : long_rows[k];
        total = add_columns(indices, indptr[row] + threadIdx.x, indptr[row + 1], onward, blockDim.x);
        for (int step = 16; step > 0; step >>= 1)
            total = add_paths(total, __shfl_xor_sync(FULL_WARP, total, step));
        if (lane_of_warp() == 0) parts[threadIdx.x / 32] = total;
        __syncthreads();
        if (threadIdx.x == 0) {
            for (int w = 1; w < blockDim.x / 32; ++w) total = add_paths(total, parts[w]);
            counts[long_rows[k]] = total;
        }
        __syncthreads();
    }
}

// A thread an edge: the onward paths of each chunk of edges, modulo 2^64, one place further on, so
// that their running sum is what comes before each chunk.
extern "C" __global__ void sum_chunks(const INDEX* indices, i64 n_edges, const i64* onward, u64* chunks) {
    i64 p = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    u64 total = warp_sum(p < n_edges ? (u64)onward[indices[p]] : 0ull);
    if (p == 0) chunks[0] = 0;
    if (p % CHUNK == 0 && p < n_edges) chunks[p / CHUNK + 1] = total;
}

// A thread a number: the path, and whether its edges are first copies.
extern "C" __global__ void walk_paths(
    const u64* forward, i64 n_steps, const u64* onward, const u64* before, const i64* sources,
    const i64* before_source, i64 n_sources, const i64* numbers, i64 n_numbers, i64* paths, bool* fits
) {
    i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (i >= n_numbers) return;
    i64 at = last_at_most(before_source, 0, n_sources, numbers[i]);
    Numbering numbering = {forward, n_steps, onward, before};
    u64 number = numbers[i] - before_source[at];
    fits[i] = walk(numbering, sources[at], number, paths + i * (n_steps + 1));
}

// A warp a path: its ends, and whether it is the one of all that join them. Places are those of
// membership.cu.
extern "C" __global__ void choose(
    const u64* forward, const u64* backward, i64 n_steps, i64 middle, const u64* first,
    const i64* paths, const bool* fits, i64 n_paths, const i64* place, i64 begin, i64 end,
    const u32* words, i64 words_each, i64* src, i64* dst, bool* chosen
) {
    i64 i = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 32;
    if (i >= n_paths || (place && (place[i] < begin || place[i] >= end))) return;
    if (place) words += (place[i] - begin) * words_each;
    const i64* path = paths + i * (n_steps + 1);
    bool is_chosen = fits[i];
    if (is_chosen) {
        Marks marks = marks_at(forward, path[0], words, first, middle);
        Found back = search(backward, n_steps, middle, path[n_steps], marks);
        is_chosen = is_first(path, back, forward, backward, n_steps, middle, words, first);
    }
    if (lane_of_warp() == 0) src[i] = path[0], dst[i] = path[n_steps], chosen[i] = is_chosen;
}

// Is there an edge, and a uniform column to which there is none.
#include "random.cuh"

// A thread a number.
extern "C" __global__ void draw_numbers(
    u64 seed, u64 block, u64 begin, i64 n_numbers, u64 below, i64* numbers
) {
    i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (i >= n_numbers) return;
    numbers[i] = random_below(random_bits(stream_key(seed, block, begin + i), 0), below);
}

// A thread a pair.
extern "C" __global__ void find(
    const i64* indptr, const INDEX* indices, const i64* rows, const i64* cols, i64 n, bool* found
) {
    i64 r = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (r >= n) return;
    i64 end = indptr[rows[r] + 1];
    i64 position = lower_bound(indices, indptr[rows[r]], end, cols[r]);
    found[r] = position < end && indices[position] == cols[r];
}

// Whether an entry is the first of its kind in a row from `begin`; not for positions from `end` on.
__device__ __forceinline__ bool is_new(const INDEX* indices, i64 begin, i64 end, i64 position) {
    if (position >= end) return false;
    return position == begin || indices[position] != indices[position - 1];
}

// Distinct entries of a sorted row: a warp together.
__device__ i64 count_distinct(const INDEX* indices, i64 begin, i64 end) {
    i64 n = 0;
    for (i64 p = begin + threadIdx.x % 32; p < end; p += 32) n += is_new(indices, begin, end, p);
    return warp_sum(n);
}

// The column that has `rank` smaller ones not in a sorted row: a warp together. Of the distinct
// entries number k is passed if entry - k <= rank; these are the first ones.
__device__ i64 free_column(const INDEX* indices, i64 begin, i64 end, i64 rank, bool distinct) {
    if (distinct) {
        i64 low = begin, high = end;
        while (low < high) {
            i64 middle = (low + high) >> 1;
            if (indices[middle] - (middle - begin) <= rank) low = middle + 1;
            else high = middle;
        }
        return rank + low - begin;
    }
    i64 passed = 0;
    for (i64 base = begin; base < end; base += 32) {
        i64 p = base + threadIdx.x % 32;
        bool fresh = is_new(indices, begin, end, p);
        u32 all = __ballot_sync(FULL_WARP, fresh);
        i64 number = passed + __popc(all & ((1u << threadIdx.x % 32) - 1));
        u32 smaller = __ballot_sync(FULL_WARP, fresh && indices[p] - number <= rank);
        passed += __popc(smaller);
        if (smaller != all) break;
    }
    return rank + passed;
}

// A warp a result, so that a hub's row is passed 32 entries at a time.
extern "C" __global__ void draw(
    const i64* indptr, const INDEX* indices, const i64* rows, i64 n_rows, i64 n_cols, u64 seed,
    u64 block, i64 forbid_diagonal, i64* cols
) {
    i64 r = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 32;
    if (r >= n_rows) return;
    i64 row = rows[r], begin = indptr[row], end = indptr[row + 1];
    i64 n_distinct = count_distinct(indices, begin, end);
    i64 n_free = n_cols - n_distinct, skipped = n_free;
    if (forbid_diagonal && row < n_cols) {
        i64 below = lower_bound(indices, begin, end, row);
        if (below == end || indices[below] != row) {
            skipped = row - count_distinct(indices, begin, below);
            --n_free;
        }
    }
    i64 column = -1;
    if (n_free) {
        i64 rank = random_below(random_bits(stream_key(seed, block, r), 0), n_free);
        rank += rank >= skipped;
        column = free_column(indices, begin, end, rank, n_distinct == end - begin);
    }
    if (threadIdx.x % 32 == 0) cols[r] = column;
}

// What an entry belongs to, where threads are shared out by entry: its row, its part of the work.
#pragma once
#include "common.cuh"

// The row of entry t, the thread's number in the grid, of n; the whole block calls this. Two
// threads find the rows of the block's first and last entries, the others search between these.
__device__ __forceinline__ i64 row_of_entry(const i64* indptr, i64 n_rows, i64 t, i64 n) {
    __shared__ i64 outer[2];
    i64 begin = t - threadIdx.x, stop = begin + blockDim.x;
    if (threadIdx.x < 2) {
        i64 entry = threadIdx.x ? (stop < n ? stop : n) - 1 : begin;
        outer[threadIdx.x] = last_at_most(indptr, 0, n_rows, entry);
    }
    __syncthreads();
    return last_at_most(indptr, outer[0], outer[1] + 1, t);
}

// Of a table with a row for each part, in which a column rises, the last that is at most `at`.
template <int WIDTH>
__device__ __forceinline__ const i64* part_of(const i64* table, i64 n_parts, int column, i64 at) {
    i64 low = 0, high = n_parts;
    while (high - low > 1) {
        i64 middle = (low + high) >> 1;
        if (table[middle * WIDTH + column] <= at) low = middle;
        else high = middle;
    }
    return table + low * WIDTH;
}

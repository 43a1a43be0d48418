// Around sparse products: their work by rows, rows by kind of work, plain copies, keys for sorting.
#include "spgemm_rows.cuh"

// Rows longer than this are counted a piece at a time by blocks of their own.
#ifndef PIECE
#define PIECE 1024
#endif

// Eight lanes a row of A, up to PIECE entries: sum of the degrees in B of its columns.
extern "C" __global__ void count_short_flops(
    i64 n_rows, const i64* __restrict__ a_indptr, const A_INDEX* __restrict__ a_indices,
    const i64* __restrict__ b_indptr, i64* flops
) {
    const i64 i = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 8;
    i64 total = 0;
    if (i < n_rows) {
        const i64 begin = a_indptr[i], end = a_indptr[i + 1];
        if (end - begin <= PIECE) {
#pragma unroll 4
            for (i64 p = begin + threadIdx.x % 8; p < end; p += 8) {
                const i64 k = a_indices[p];
                total += b_indptr[k + 1] - b_indptr[k];
            }
        }
    }
    for (int step = 4; step > 0; step >>= 1) total += __shfl_xor_sync(FULL_WARP, total, step);
    if (i < n_rows && threadIdx.x % 8 == 0) flops[i] = total;
}

// A block a piece of PIECE entries of A: what it adds to rows longer than a piece. Such a row holds
// the first or the last entry of every piece it meets.
extern "C" __global__ void add_long_flops(
    i64 n_rows, i64 n_entries, const i64* __restrict__ a_indptr, const A_INDEX* __restrict__ a_indices,
    const i64* __restrict__ b_indptr, i64* flops
) {
    const i64 first = blockIdx.x * (i64)PIECE, last = min(first + PIECE, n_entries) - 1;
    i64 i = last_at_most(a_indptr, (i64)0, n_rows, first);
    const i64 final_row = last_at_most(a_indptr, i, n_rows, last);
    while (true) {
        if (a_indptr[i + 1] - a_indptr[i] > PIECE) {
            const i64 end = min(a_indptr[i + 1], last + 1);
            i64 total = 0;
            for (i64 p = max(a_indptr[i], first) + threadIdx.x; p < end; p += blockDim.x) {
                const i64 k = a_indices[p];
                total += b_indptr[k + 1] - b_indptr[k];
            }
            total = warp_sum(total);
            if (threadIdx.x % 32 == 0) add_to(flops + i, total);
        }
        if (i == final_row) return;
        i = final_row;
    }
}

// A thread an edge: notes whether some row's columns descend (flags[0]) or repeat (flags[1]).
extern "C" __global__ void inspect_order(
    i64 n_rows, i64 n_edges, const i64* __restrict__ indptr, const INDEX* __restrict__ indices, u32* flags
) {
    const i64 p = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (p + 1 >= n_edges || indices[p] < indices[p + 1]) return;
    const int flag = indices[p] == indices[p + 1];
    if (flags[flag]) return;
    if (indptr[last_at_most(indptr, (i64)0, n_rows, p + 1)] <= p) flags[flag] = 1;
}

#define N_KINDS 16
#define COPIED 1
#define FIRST_SORTED 2
#define MARKED 8

// A thread a row: its kind (0 has nothing, 1 copies one row of B, 2 to 7 are sorted by 1 to 32 keys
// a lane, 8 to 10 marked in a bitmap, the last two with more flops), and how many there are of each.
extern "C" __global__ void classify(
    i64 n_rows, const i64* __restrict__ a_indptr, const i64* __restrict__ flops, const u32* __restrict__ flags,
    i64 most_sorted, i64 large, i64 heavy, unsigned char* kinds, u64* counts
) {
    __shared__ u32 here[N_KINDS];
    if (threadIdx.x < N_KINDS) here[threadIdx.x] = 0;
    __syncthreads();
    const i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (i < n_rows) {
        const i64 degree = a_indptr[i + 1] - a_indptr[i], work = max(flops[i], degree);
        int kind = 0;
        if (flops[i] > 0) {
            if (work <= most_sorted)
                for (kind = FIRST_SORTED; (i64)32 << (kind - FIRST_SORTED) < work;) ++kind;
            else if (degree == 1 && !flags[0] && !flags[1]) kind = COPIED;
            else kind = MARKED + (work > large) + (work > heavy);
        }
        kinds[i] = kind;
        atomicAdd(here + kind, 1u);
    }
    __syncthreads();
    if (threadIdx.x < N_KINDS && here[threadIdx.x]) atomicAdd(counts + threadIdx.x, (u64)here[threadIdx.x]);
}

// A thread a row: lists rows by kind, in about their order. `cursors` begin at zero.
extern "C" __global__ void list_kinds(
    i64 n_rows, const unsigned char* __restrict__ kinds, const u64* __restrict__ counts, u64* cursors, i64* rows
) {
    const u32 lane = threadIdx.x % 32;
    const i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    const int kind = i < n_rows ? kinds[i] : N_KINDS;
    const u32 same = __match_any_sync(FULL_WARP, kind);
    const int leader = __ffs((int)same) - 1;
    u64 at = 0;
    if ((int)lane == leader && kind < N_KINDS) {
        at = atomicAdd(cursors + kind, (u64)__popc(same));
        for (int k = 0; k < kind; ++k) at += counts[k];
    }
    at = __shfl_sync(FULL_WARP, at, leader);
    if (kind < N_KINDS) rows[at + __popc(same & ((1u << lane) - 1))] = i;
}

// A block a row of A with one entry: its row of B, which has no repeats.
extern "C" __global__ void copy_rows(
    const i64* __restrict__ rows, const i64* __restrict__ a_indptr, const A_INDEX* __restrict__ a_indices,
    const NUMBER* __restrict__ a_values, const i64* __restrict__ b_indptr, const INDEX* __restrict__ b_indices,
    const NUMBER* __restrict__ b_values, const i64* __restrict__ offsets, INDEX* indices, NUMBER* values
) {
    const i64 i = rows[blockIdx.x], p = a_indptr[i], k = a_indices[p];
    const i64 begin = b_indptr[k], n = b_indptr[k + 1] - begin, offset = offsets[i];
#pragma unroll 4
    for (i64 t = threadIdx.x; t < n; t += blockDim.x) indices[offset + t] = b_indices[begin + t];
    if (!values) return;
    const NUMBER factor = a_values ? a_values[p] : (NUMBER)1;
#pragma unroll 4
    for (i64 t = threadIdx.x; t < n; t += blockDim.x)
        values[offset + t] = b_values ? factor * b_values[begin + t] : factor;
}

// A thread an edge: its row, and the column within it, as one number.
extern "C" __global__ void make_keys(
    i64 n_rows, i64 n_edges, const i64* __restrict__ indptr, const INDEX* __restrict__ indices, u64 span, u64* keys
) {
    const i64 p = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (p < n_edges) keys[p] = (u64)last_at_most(indptr, (i64)0, n_rows, p) * span + (u64)indices[p];
}

// How a row of a sparse product meets the edges of B: a warp or a block, no lane idle on short rows.
#pragma once
#include "common.cuh"

#ifndef A_INDEX
#define A_INDEX int
#endif
#ifndef NUMBER
#define NUMBER long long
#endif

// Sum of a lane's number and those of the lanes before it.
template <typename T>
__device__ __forceinline__ T warp_prefix(T value) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int step = 1; step < 32; step <<= 1) {
        T other = __shfl_up_sync(FULL_WARP, value, step);
        if (lane >= step) value += other;
    }
    return value;
}

__device__ __forceinline__ void add_to(long long* sum, long long value) {
    atomicAdd((u64*)sum, (u64)value);
}
__device__ __forceinline__ void add_to(double* sum, double value) { atomicAdd(sum, value); }

// A warp visits the edges of B that its lanes' entries lead to: lane l brings `degree` edges from
// `begin` on. All of them laid end to end, 32 at a time go to the 32 lanes, so that rows of a few
// edges leave no lane idle. The heads of rows among 32 edges are bits of one word, which tells
// each lane its row by a count of bits; `bases` and `factors`, 32 of each in shared memory, hold
// what it then needs of the row. visit(place, edge, factor); returns how many edges.
template <bool WEIGHTED, typename Place, typename Visit>
__device__ __forceinline__ Place visit_edges(
    i64 begin, Place degree, NUMBER factor, i64* bases, NUMBER* factors, Visit visit
) {
    const u32 lane = threadIdx.x % 32;
    const Place last = warp_prefix(degree), first = last - degree;
    const Place total = __shfl_sync(FULL_WARP, last, 31);
    const u32 filled = __ballot_sync(FULL_WARP, degree > 0);
    if (degree > 0) {
        const u32 rank = __popc(filled & ((1u << lane) - 1));
        bases[rank] = begin - (i64)first;
        if (WEIGHTED) factors[rank] = factor;
    }
    __syncwarp();
    u32 before = 0;
    for (Place t = 0; t < total; t += 32) {
        const bool head = degree > 0 && first >= t && first < t + 32;
        const u32 heads = __reduce_or_sync(FULL_WARP, head ? 1u << (u32)(first - t) : 0u);
        const u32 row = before + __popc(heads & (FULL_WARP >> (31 - lane))) - 1;
        before += __popc(heads);
        const Place place = t + lane;
        if (place < total) visit(place, bases[row] + (i64)place, WEIGHTED ? factors[row] : (NUMBER)1);
    }
    __syncwarp();
    return total;
}

// A row of A, and B: what the walks below read. `cut` says to take columns in [low, high) only, by
// searches in the rows of B, which then are sorted.
struct Factors {
    i64 a_begin, a_end;
    const A_INDEX* a_indices;
    const NUMBER* a_values;
    const i64* b_indptr;
    const INDEX* b_indices;
    i64 low, high;
    bool cut;

    __device__ __forceinline__ void find(i64 p, i64& begin, i64& end, NUMBER& factor) const {
        const i64 k = a_indices[p];
        begin = b_indptr[k], end = b_indptr[k + 1];
        if (cut) {
            begin = lower_bound(b_indices, begin, end, low);
            end = lower_bound(b_indices, begin, end, high);
        }
        if (a_values) factor = a_values[p];
    }
};

// Rows of B that the whole block shares wait in such a list.
#define LONG_ROWS 128
struct LongRows {
    u32 n[2];
    i64 begin[LONG_ROWS], degree[LONG_ROWS];
    NUMBER factor[LONG_ROWS];
};

// A block, of a power of two of warps, visits all edges of B that a row of A leads to. Each warp
// takes the short rows of its 32 entries; long ones are dealt out to all warps, 32 edges at a time.
// `bases` and `factors` have one entry a thread. Ends at a barrier. visit(edge, factor).
template <bool WEIGHTED, typename Visit>
__device__ __forceinline__ void visit_row(
    const Factors& row, LongRows& shared, i64* bases, NUMBER* factors, Visit visit
) {
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, n_warps = blockDim.x / 32;
    if (threadIdx.x == 0) shared.n[0] = 0;
    __syncthreads();
    int turn = 0;
    for (i64 p0 = row.a_begin; p0 < row.a_end; p0 += blockDim.x, turn ^= 1) {
        const i64 p = p0 + threadIdx.x;
        i64 begin = 0, end = 0;
        NUMBER factor = 1;
        if (p < row.a_end) row.find(p, begin, end, factor);
        i64 degree = end - begin;
        if (degree >= 2 * (i64)blockDim.x) {
            const u32 at = atomicAdd(&shared.n[turn], 1u);
            if (at < LONG_ROWS) {
                shared.begin[at] = begin, shared.degree[at] = degree, shared.factor[at] = factor;
                degree = 0;
            }
        }
        visit_edges<WEIGHTED>(
            begin, degree, factor, bases + 32 * warp, factors + 32 * warp,
            [&](i64, i64 q, NUMBER f) { visit(q, f); }
        );
        __syncthreads();
        const u32 n_long = min(shared.n[turn], (u32)LONG_ROWS);
        if (threadIdx.x == 0) shared.n[turn ^ 1] = 0;
        i64 next = warp;  // the first 32 edges of the next long row that are this warp's
        for (u32 e = 0; e < n_long; ++e) {
            const i64 first = shared.begin[e], n = shared.degree[e];
            const NUMBER f = shared.factor[e];
#pragma unroll 4
            for (i64 t = next * 32 + lane; t < n; t += blockDim.x) visit(first + t, f);
            next = (next - (n + 31) / 32) & (n_warps - 1);
        }
        __syncthreads();
    }
}

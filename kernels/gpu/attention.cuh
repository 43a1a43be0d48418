// Graph attention: what its passes over the edges, forward by row and backward by column, share.
//
// Scores are u = r_i + c_j, weights exp(leaky(u) - log_sum_i). A team takes a row (or column) and
// all its heads where their numbers fit its lanes, else one of its heads, tile by tile.
#pragma once
#include "rows.cuh"

// Whether a team has several heads: then its vectors may differ in their head.
#ifndef HEADED
#define HEADED 0
#endif

// Heads a lane keeps apart.
#define STREAMS (HEADED ? VECS : 1)
// Blocks a multiprocessor is to hold, by what a lane keeps of an edge: 80, 128 or 255 registers.
#define KEPT (VEC * VECS + 2 * STREAMS)
#define BLOCKS (sizeof(REAL) > 4 ? (KEPT > 4 ? 1 : 2) : (KEPT > 6 ? 2 : 3))

// What a lane sums up: of all edges and of those with u > 0, vectors and a number for each head.
struct Sums {
    Numbers all[VECS], up[VECS];
    REAL of_all[STREAMS], of_up[STREAMS];
};

// Which vectors of a row are a lane's.
struct Part {
    int stride;           // vectors of a row
    int at;               // the lane's first one
    int left;             // vector k is the lane's if k * LANES < left
    int head[STREAMS];
    bool tells[STREAMS];  // whether the lane writes the head's number
};

__device__ __forceinline__ Part part_of(
    Place place, int block, int tile, i64 n_heads, i64 heads_a_team, i64 head_vectors
) {
    Part part;
    int first = tile * TILE + place.slot, n = (int)(heads_a_team * head_vectors);
    int first_head = block * (int)heads_a_team;
    part.stride = (int)(n_heads * head_vectors);
    part.at = first_head * (int)head_vectors + first;
    part.left = n - first;
#pragma unroll
    for (int k = 0; k < STREAMS; ++k) {
        int v = first + k * LANES, within = HEADED ? v / (int)head_vectors : 0;
        part.tells[k] = place.group == 0 && (HEADED ? v < n && v % (int)head_vectors == 0 : first == 0);
        part.head[k] = first_head + (HEADED && v < n ? within : 0);
    }
    return part;
}

__device__ __forceinline__ Sums no_sums() {
    Sums sums;
#pragma unroll
    for (int k = 0; k < VECS; ++k) sums.all[k] = sums.up[k] = no_numbers();
#pragma unroll
    for (int k = 0; k < STREAMS; ++k) sums.of_all[k] = sums.of_up[k] = 0;
    return sums;
}

// sums = a * sums + b * others.
__device__ __forceinline__ void add_lane(Sums& sums, int step, const REAL* a, const REAL* b) {
#pragma unroll
    for (int k = 0; k < VECS; ++k) {
        REAL own = a[HEADED ? k : 0], theirs = b[HEADED ? k : 0];
#pragma unroll
        for (int c = 0; c < VEC; ++c) {
            REAL all = __shfl_xor_sync(FULL_WARP, sums.all[k].at[c], step);
            REAL up = __shfl_xor_sync(FULL_WARP, sums.up[k].at[c], step);
            sums.all[k].at[c] = own * sums.all[k].at[c] + theirs * all;
            sums.up[k].at[c] = own * sums.up[k].at[c] + theirs * up;
        }
    }
#pragma unroll
    for (int k = 0; k < STREAMS; ++k) {
        REAL all = __shfl_xor_sync(FULL_WARP, sums.of_all[k], step);
        REAL up = __shfl_xor_sync(FULL_WARP, sums.of_up[k], step);
        sums.of_all[k] = a[k] * sums.of_all[k] + b[k] * all;
        sums.of_up[k] = a[k] * sums.of_up[k] + b[k] * up;
    }
}

__device__ __forceinline__ void store(Numbers* to, const Part& part, const Numbers* sum, const REAL* by) {
#pragma unroll
    for (int k = 0; k < VECS; ++k) {
        Numbers scaled;
#pragma unroll
        for (int c = 0; c < VEC; ++c) scaled.at[c] = by[HEADED ? k : 0] * sum[k].at[c];
        if (k * LANES < part.left) to[part.at + k * LANES] = scaled;
    }
}

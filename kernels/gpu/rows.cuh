// Rows shared out among teams of lanes, and numbers read several at a time.
#pragma once
#include "common.cuh"

// Lanes that hold what belongs to one edge.
#ifndef LANES
#define LANES 16
#endif
// Lanes that work on one row: TEAM / LANES edges at a time.
#ifndef TEAM
#define TEAM 32
#endif
// Numbers a lane reads at once, and how often it does so for one edge.
#ifndef VEC
#define VEC 4
#endif
#ifndef VECS
#define VECS 1
#endif

#define GROUPS (TEAM / LANES)
#define TILE (LANES * VECS)
// Edges of a group whose reads are in flight together.
#define UNROLL (LANES < 4 ? LANES : 4)

template <typename T, int N>
struct alignas(sizeof(T) * N) Vector {
    T at[N];
};

typedef Vector<REAL, VEC> Numbers;

__device__ __forceinline__ Numbers no_numbers() {
    Numbers zeros;
#pragma unroll
    for (int c = 0; c < VEC; ++c) zeros.at[c] = 0;
    return zeros;
}

// Where a thread stands: its lane, its team's first lane, and its place in the team.
struct Place {
    i64 team;
    int base, in_team, slot, group;
};

__device__ __forceinline__ Place place_of_thread() {
    Place place;
    int lane = threadIdx.x % 32;
    place.team = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / TEAM;
    place.in_team = lane % TEAM;
    place.base = lane - place.in_team;
    place.slot = place.in_team % LANES;
    place.group = place.in_team / LANES;
    return place;
}

// What a team does: a piece of a heavy row, or a whole light one (piece -1), or nothing (row -1).
struct Work {
    i64 first;
    int n, row, piece;
};

// The work of a unit. Pieces come first, as they take longest; `most` edges make a row heavy.
__device__ __forceinline__ Work work_of(
    i64 unit, const i64* indptr, i64 n_rows, const i64* pieces, i64 n_pieces, i64 most
) {
    Work work = {0, 0, -1, -1};
    if (unit < n_pieces) {
        const i64* piece = pieces + 3 * unit;
        work.row = (int)piece[0];
        work.piece = (int)unit;
        work.first = piece[1];
        work.n = (int)(piece[2] - piece[1]);
        return work;
    }
    i64 row = unit - n_pieces;
    if (row >= n_rows) return work;
    i64 first = indptr[row], n = indptr[row + 1] - first;
    if (n > most) return work;
    work.row = (int)row;
    work.first = first;
    work.n = (int)n;
    return work;
}

// Turns of the longest loop in a warp: its teams stay in step, as they exchange inside the loop.
__device__ __forceinline__ int longest_in_warp(int n) { return TEAM == 32 ? n : warp_max(n); }

// What to subtract from scores before their exponentials: the largest, unless all are -inf.
__device__ __forceinline__ REAL shift_of(REAL top) { return top == -(REAL)INFINITY ? (REAL)0 : top; }

__device__ __forceinline__ REAL larger_of(REAL a, REAL b) { return b > a ? b : a; }

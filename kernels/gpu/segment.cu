// Reductions over the edges of each row, and their adjoint.
#include "rows.cuh"

// A value and the position it was found at; -1 before any.
struct Found {
    REAL value;
    i64 at;
};

// Whether b goes before a: a NaN is larger than everything, of equal ones the first position wins.
__device__ __forceinline__ bool beats(Found b, Found a) {
    if (b.at < 0 || a.at < 0) return b.at >= 0;
    bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan != b_nan) return b_nan;
    if (a_nan || a.value == b.value) return b.at < a.at;
    return b.value > a.value;
}

__device__ __forceinline__ Found best_of_lanes(Found best, int from, int until) {
    for (int step = from; step < until; step <<= 1) {
        Found other = {
            __shfl_xor_sync(FULL_WARP, best.value, step), __shfl_xor_sync(FULL_WARP, best.at, step)
        };
        if (beats(other, best)) best = other;
    }
    return best;
}

// A team takes a row, or a piece of a heavy one: lanes by column, groups by edge.
extern "C" __global__ void __launch_bounds__(256, 4) largest_of_rows(
    const i64* __restrict__ indptr, const i64* __restrict__ edge_ids,
    const REAL* __restrict__ values, const i64* __restrict__ pieces, i64 n_rows, i64 n_pieces,
    i64 most, i64 width, REAL* __restrict__ largest, i64* __restrict__ arg,
    REAL* __restrict__ piece_largest, i64* __restrict__ piece_at
) {
    Place place = place_of_thread();
    Work work = work_of(place.team, indptr, n_rows, pieces, n_pieces, most);
    for (i64 begin = 0; begin < width; begin += LANES) {
        i64 column = begin + place.slot;
        Found best = {0, -1};
        if (column < width) {
#pragma unroll 4
            for (int q = place.group; q < work.n; q += GROUPS) {
                i64 p = work.first + q;
                Found here = {values[edge_at(edge_ids, p) * width + column], p};
                if (beats(here, best)) best = here;
            }
        }
        best = best_of_lanes(best, LANES, TEAM);
        if (work.row < 0 || place.group > 0 || column >= width) continue;
        if (work.piece < 0) {
            largest[work.row * width + column] = best.value;
            arg[work.row * width + column] = best.at < 0 ? -1 : edge_at(edge_ids, best.at);
        } else {
            piece_largest[work.piece * width + column] = best.value;
            piece_at[work.piece * width + column] = best.at;
        }
    }
}

// A warp compares what the pieces of one heavy row found in one column.
extern "C" __global__ void __launch_bounds__(256) largest_of_pieces(
    const i64* heavy, const i64* edge_ids, const REAL* piece_largest, const i64* piece_at,
    i64 n_heavy, i64 width, REAL* largest, i64* arg
) {
    i64 item = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (item >= n_heavy * width) return;
    i64 column = item % width, row = heavy[item / width * 3], last = heavy[item / width * 3 + 2];
    Found best = {0, -1};
    for (i64 piece = heavy[item / width * 3 + 1] + lane; piece < last; piece += 32) {
        Found here = {piece_largest[piece * width + column], piece_at[piece * width + column]};
        if (beats(here, best)) best = here;
    }
    best = best_of_lanes(best, 1, 32);
    if (lane > 0) return;
    largest[row * width + column] = best.value;
    arg[row * width + column] = edge_at(edge_ids, best.at);
}

// A warp takes a run of positions, 32 at a time: each lane finds a row, then lanes lie over the
// numbers of all 32 edges, so that what is written is consecutive where there are no ids.
extern "C" __global__ void __launch_bounds__(256) expand_runs(
    const i64* __restrict__ indptr, const i64* __restrict__ edge_ids,
    const i64* __restrict__ run_rows, const REAL* __restrict__ x, i64 n_edges, i64 n_runs,
    i64 run_edges, i64 width, REAL* __restrict__ copies
) {
    i64 run = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 32;
    int lane = threadIdx.x % 32;
    if (run >= n_runs) return;
    i64 low = run_rows[run], high = run_rows[run + 1] + 1;
    i64 last = (run + 1) * run_edges < n_edges ? (run + 1) * run_edges : n_edges;
    for (i64 at = run * run_edges; at < last; at += 32) {
        i64 p = at + lane, i = 0, e = 0;
        if (p < last) {
            i = last_at_most(indptr, low, high, p);
            e = edge_at(edge_ids, p);
        }
        int columns = (int)width, n_items = (last - at < 32 ? (int)(last - at) : 32) * columns;
        for (int s = 0; s < n_items; s += 32) {
            int item = s + lane, q = columns == 1 ? item : item / columns;
            i64 row = __shfl_sync(FULL_WARP, i, q & 31), id = __shfl_sync(FULL_WARP, e, q & 31);
            int column = item - q * columns;
            if (item < n_items) copies[id * width + column] = x[row * width + column];
        }
    }
}

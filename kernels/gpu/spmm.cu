// Sparse times dense: a team of lanes a row, or a piece of a heavy one.
#include "rows.cuh"

// Whether each head has weights of its own.
#ifndef HEADED
#define HEADED 0
#endif
// Blocks a multiprocessor is to hold: a thread has at most 64 registers where its lane keeps 16 bytes
// of an edge and one weight, 128 where it keeps more.
#define BLOCKS (sizeof(REAL) * VEC * VECS + 4 * HEADED * VECS > 20 ? 2 : 4)

// A team sums over the edges of one row for one tile of features. Its lanes first read an edge
// each; then groups of lanes read the vectors of several edges before they add any. Without
// `indices`, vectors are by edge id. Pieces leave their sums in `partial`.
extern "C" __global__ void __launch_bounds__(256, BLOCKS) multiply_rows(
    const i64* __restrict__ indptr, const INDEX* __restrict__ indices,
    const i64* __restrict__ edge_ids, const REAL* __restrict__ weight,
    const Numbers* __restrict__ x, const REAL* __restrict__ row_scale,
    const REAL* __restrict__ col_scale, const i64* __restrict__ pieces, i64 n_rows, i64 n_pieces,
    i64 most, i64 vectors, i64 n_heads, i64 n_tiles, Numbers* __restrict__ y,
    Numbers* __restrict__ partial
) {
    Place place = place_of_thread();
    i64 unit = place.team;
    int n_vectors = (int)vectors, first_vector = place.slot;
    if (n_tiles > 1) {
        unit = place.team / n_tiles;
        first_vector += (int)(place.team - unit * n_tiles) * TILE;
    }
    Work work = work_of(unit, indptr, n_rows, pieces, n_pieces, most);
    int left = n_vectors - first_vector;  // vector k is ours if k * LANES < left
    const Numbers* from = x + first_vector;
    int head[VECS];
    Numbers sum[VECS];
#pragma unroll
    for (int k = 0; k < VECS; ++k) {
        sum[k] = no_numbers();
        head[k] = HEADED ? (first_vector + k * LANES) / (n_vectors / (int)n_heads) : 0;
    }
    int longest = longest_in_warp(work.n);
    for (int at = 0; at < longest; at += TEAM) {
        i64 e = 0;
        INDEX j = 0;
        REAL factor = 1;
        if (at + place.in_team < work.n) {
            i64 p = work.first + at + place.in_team;
            e = edge_at(edge_ids, p);
            j = indices ? indices[p] : (INDEX)e;
            if (col_scale) factor = col_scale[j];
            if (!HEADED && weight) factor *= weight[e];
        }
        for (int s = 0; s < TEAM && at + s < longest; s += GROUPS * UNROLL) {
            Numbers seen[UNROLL][VECS];
            REAL by[UNROLL][HEADED ? VECS : 1];
#pragma unroll
            for (int u = 0; u < UNROLL; ++u) {
                int q = s + u * GROUPS + place.group;
                INDEX node = __shfl_sync(FULL_WARP, j, place.base + q);
                REAL shared = __shfl_sync(FULL_WARP, factor, place.base + q);
                i64 id = HEADED ? __shfl_sync(FULL_WARP, e, place.base + q) : 0;
                by[u][0] = shared;
#pragma unroll
                for (int k = 0; k < VECS; ++k) {
                    bool ours = at + q < work.n && k * LANES < left;
                    seen[u][k] = ours ? from[(i64)node * n_vectors + k * LANES] : no_numbers();
                    if (HEADED) by[u][k] = ours ? shared * weight[id * n_heads + head[k]] : 0;
                }
            }
#pragma unroll
            for (int u = 0; u < UNROLL; ++u)
#pragma unroll
                for (int k = 0; k < VECS; ++k)
#pragma unroll
                    for (int c = 0; c < VEC; ++c)
                        sum[k].at[c] += by[u][HEADED ? k : 0] * seen[u][k].at[c];
        }
    }
#pragma unroll
    for (int step = LANES; step < TEAM; step <<= 1)
#pragma unroll
        for (int k = 0; k < VECS; ++k)
#pragma unroll
            for (int c = 0; c < VEC; ++c)
                sum[k].at[c] += __shfl_xor_sync(FULL_WARP, sum[k].at[c], step);
    if (work.row < 0 || place.group > 0) return;
    bool whole = work.piece < 0;
    Numbers* to = (whole ? y : partial) + (i64)(whole ? work.row : work.piece) * n_vectors + first_vector;
    REAL scale = whole && row_scale ? row_scale[work.row] : (REAL)1;
#pragma unroll
    for (int k = 0; k < VECS; ++k) {
#pragma unroll
        for (int c = 0; c < VEC; ++c) sum[k].at[c] *= scale;
        if (k * LANES < left) to[k * LANES] = sum[k];
    }
}

// Sampled dense times dense: a warp a run of edges, a group of lanes a dot product.
#include "rows.cuh"

// A warp takes a run of positions, 32 at a time: each lane finds the ends of one edge, then groups
// of lanes multiply the vectors of several (edge, head) pairs, which are consecutive in memory.
extern "C" __global__ void __launch_bounds__(256, 2) score_runs(
    const i64* __restrict__ indptr, const INDEX* __restrict__ indices,
    const i64* __restrict__ edge_ids, const i64* __restrict__ run_rows,
    const Numbers* __restrict__ x, const Numbers* __restrict__ z, i64 n_edges, i64 n_runs,
    i64 run_edges, i64 n_heads, i64 n_vectors, REAL* __restrict__ scores
) {
    Place place = place_of_thread();
    i64 run = place.team;
    if (run >= n_runs) return;
    i64 low = run_rows[run], high = run_rows[run + 1] + 1;
    i64 last = (run + 1) * run_edges < n_edges ? (run + 1) * run_edges : n_edges;
    int heads = (int)n_heads, length = (int)n_vectors;
    for (i64 at = run * run_edges; at < last; at += 32) {
        i64 p = at + place.in_team, i = 0, e = 0;
        INDEX j = 0;
        if (p < last) {
            i = last_at_most(indptr, low, high, p);
            j = indices[p];
            e = edge_at(edge_ids, p);
        }
        int n_items = (last - at < 32 ? (int)(last - at) : 32) * heads;
        for (int s = 0; s < n_items; s += GROUPS * UNROLL) {
            REAL dot[UNROLL];
            const Numbers *a[UNROLL], *b[UNROLL];
#pragma unroll
            for (int u = 0; u < UNROLL; ++u) {
                int item = s + u * GROUPS + place.group;
                int q = heads == 1 ? item : item / heads, h = item - q * heads;
                i64 row = __shfl_sync(FULL_WARP, i, q & 31);
                i64 column = __shfl_sync(FULL_WARP, j, q & 31);
                a[u] = x + (row * heads + h) * length;
                b[u] = z + (column * heads + h) * length;
                dot[u] = 0;
            }
            for (int v = place.slot; v < length; v += LANES) {
                Numbers one[UNROLL], other[UNROLL];
#pragma unroll
                for (int u = 0; u < UNROLL; ++u) {
                    bool there = s + u * GROUPS + place.group < n_items;
                    one[u] = there ? a[u][v] : no_numbers();
                    other[u] = there ? b[u][v] : no_numbers();
                }
#pragma unroll
                for (int u = 0; u < UNROLL; ++u)
#pragma unroll
                    for (int c = 0; c < VEC; ++c) dot[u] += one[u].at[c] * other[u].at[c];
            }
#pragma unroll
            for (int u = 0; u < UNROLL; ++u) {
#pragma unroll
                for (int step = LANES / 2; step > 0; step >>= 1)
                    dot[u] += __shfl_xor_sync(FULL_WARP, dot[u], step);
                int item = s + u * GROUPS + place.group, q = heads == 1 ? item : item / heads;
                i64 id = __shfl_sync(FULL_WARP, e, q & 31);
                if (place.slot == 0 && item < n_items) scores[id * heads + item - q * heads] = dot[u];
            }
        }
    }
}

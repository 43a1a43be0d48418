// Edges between hubs and some nodes, found by looking up the fewer in the more.
#include "common.cuh"

// Finds the edges of a piece of a hub's row, or of the nodes: one warp a piece, 32 of its items at
// a time. An item is a position of the row, looked up among the nodes, or a node, looked up in the
// row, whichever are fewer. Counts; writes too where there is room.
extern "C" __global__ void find(
    const i64* indptr, const INDEX* indices, const i64* edge_ids, const i64* hubs, i64 n_hubs, const i64* nodes,
    i64 n_nodes, const i64* pieces, i64 n_pieces, i64 piece, i64* n_found, const i64* before, INDEX* neighbours,
    i64* out_edge_ids
) {
    i64 p = (blockIdx.x * (i64)blockDim.x + threadIdx.x) >> 5;
    int lane = threadIdx.x & 31;
    if (p >= n_pieces) return;
    i64 h = last_at_most(pieces, 0, n_hubs, p);
    i64 first = indptr[hubs[h]], stop = indptr[hubs[h] + 1];
    bool by_node = n_nodes < stop - first;
    i64 here = (p - pieces[h]) * piece, there = here + piece, n_items = by_node ? n_nodes : stop - first;
    if (there > n_items) there = n_items;
    i64 total = 0, out = before ? before[p] : 0;
    for (i64 begin = here; begin < there; begin += 32) {
        i64 item = begin + lane, position = first + item;
        int n = 0;
        if (item < there && by_node) {
            position = lower_bound(indices, first, stop, nodes[item]);
            while (position + n < stop && indices[position + n] == nodes[item]) ++n;
        } else if (item < there) {
            i64 node = indices[position], k = lower_bound(nodes, 0, n_nodes, node);
            n = k < n_nodes && nodes[k] == node;
        }
        int upto = n;  // found by this lane and those before it
        for (int step = 1; step < 32; step <<= 1) {
            int lower = __shfl_up_sync(FULL_WARP, upto, step);
            if (lane >= step) upto += lower;
        }
        if (before)
            for (i64 k = 0, at = out + total + upto - n; k < n; ++k) {
                neighbours[at + k] = indices[position + k];
                out_edge_ids[at + k] = edge_at(edge_ids, position + k);
            }
        total += __shfl_sync(FULL_WARP, upto, 31);
    }
    if (lane == 0 && !before) n_found[p] = total;
}

// Neighbours drawn without replacement: counted by node, chosen by row, read by edge. All frontiers
// of a hop go together: their nodes are rows of one numbering, and a table says which is whose.
#include "entry.cuh"
#include "random.cuh"

// Columns of the table, a row for each frontier.
enum { BEGIN, N_NODES, FANOUT, SEED, NODES, INDPTR, INDICES, EDGE_IDS, WIDTH };

struct Row {
    const i64* of;  // row of the table
    i64 node, first, degree;
};

__device__ __forceinline__ const i64* pointer(i64 word) { return (const i64*)word; }

// Node and edges of row r; degree 0 where there is no node, as between frontiers.
__device__ __forceinline__ Row row_at(const i64* table, i64 n_frontiers, i64 r) {
    Row row = {part_of<WIDTH>(table, n_frontiers, BEGIN, r), 0, 0, 0};
    i64 k = r - row.of[BEGIN];
    if (k >= row.of[N_NODES]) return row;
    row.node = pointer(row.of[NODES])[k];
    const i64* begin = pointer(row.of[INDPTR]) + row.node;
    row.first = begin[0];
    row.degree = begin[1] - begin[0];
    return row;
}

// The edges each row draws: one thread a row.
extern "C" __global__ void count(const i64* table, i64 n_frontiers, i64 n_rows, i64* n_drawn) {
    i64 r = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (r >= n_rows) return;
    Row row = row_at(table, n_frontiers, r);
    i64 fanout = row.of[FANOUT];
    n_drawn[r] = fanout >= 0 && fanout < row.degree ? fanout : row.degree;
}

// Where each row begins among its frontier's, one thread a row; and where each frontier begins.
extern "C" __global__ void begin_rows(
    const i64* table, i64 n_frontiers, i64 n_rows, const i64* before, i64* out_indptr, i64* stops
) {
    i64 r = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (r < n_rows) out_indptr[r] = before[r] - before[part_of<WIDTH>(table, n_frontiers, BEGIN, r)[BEGIN]];
    if (r < n_frontiers) stops[r] = before[table[r * WIDTH + BEGIN]];
    if (r == n_frontiers) stops[r] = before[n_rows];
}

// Fills the places of rows that draw all of a fan-out up to `most` with their edges' positions, by
// Floyd's algorithm: one thread a row, as each choice depends on those before it. Rows that have
// fewer edges are taken whole, later.
extern "C" __global__ void choose(
    const i64* table, i64 n_frontiers, i64 n_rows, i64 most, u64 block, const i64* before, i64* positions
) {
    i64 r = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (r >= n_rows) return;
    Row row = row_at(table, n_frontiers, r);
    i64 fanout = row.of[FANOUT];
    if (fanout > most || row.degree < fanout) return;
    i64* chosen = positions + before[r];
    u64 key = stream_key(row.of[SEED], block, row.node);
    u64 seen = 0;  // bit b: some offset chosen is b modulo 64
    for (i64 t = 0; t < fanout; ++t) {
        i64 last = row.degree - fanout + t, offset = t;
        if (row.degree > fanout) {
            offset = random_below(random_bits(key, t), last + 1);
            bool taken = false;
            if (seen >> (offset & 63) & 1)
                for (i64 s = 0; s < t; ++s) taken |= chosen[s] == row.first + offset;
            if (taken) offset = last;
            seen |= 1ull << (offset & 63);
        }
        chosen[t] = row.first + offset;
    }
}

// As `choose` for fan-outs above `most`: one warp a row, whose lanes draw 32 numbers at once and
// look through those chosen together.
extern "C" __global__ void choose_many(
    const i64* table, i64 n_frontiers, i64 n_rows, i64 most, u64 block, const i64* before, i64* positions
) {
    i64 r = (blockIdx.x * (i64)blockDim.x + threadIdx.x) >> 5;
    int lane = threadIdx.x & 31;
    if (r >= n_rows) return;
    Row row = row_at(table, n_frontiers, r);
    i64 fanout = row.of[FANOUT];
    if (fanout <= most || row.degree < fanout) return;
    i64* chosen = positions + before[r];
    if (row.degree == fanout) {
        for (i64 t = lane; t < fanout; t += 32) chosen[t] = row.first + t;
        return;
    }
    u64 key = stream_key(row.of[SEED], block, row.node), seen = 0, bits = 0;
    for (i64 t = 0; t < fanout; ++t) {
        if ((t & 31) == 0) bits = random_bits(key, t + lane);
        i64 last = row.degree - fanout + t;
        i64 offset = random_below(__shfl_sync(FULL_WARP, bits, (int)(t & 31)), last + 1);
        if (seen >> (offset & 63) & 1) {
            bool taken = false;
            for (i64 s = lane; s < t; s += 32) taken |= chosen[s] == row.first + offset;
            if (__any_sync(FULL_WARP, taken)) offset = last;
        }
        seen |= 1ull << (offset & 63);
        if (lane == 0) chosen[t] = row.first + offset;
        __syncwarp();
    }
}

// Reads the n edges drawn, one thread an edge: at the positions chosen, which their ids replace, or
// one after the other in rows taken whole.
extern "C" __global__ void gather(
    const i64* table, i64 n_frontiers, i64 n_rows, const i64* before, i64 n, INDEX* neighbours, i64* edge_ids
) {
    i64 t = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    i64 r = row_of_entry(before, n_rows, t, n);
    if (t >= n) return;
    Row row = row_at(table, n_frontiers, r);
    i64 begin = before[r];
    i64 position = before[r + 1] - begin == row.of[FANOUT] ? edge_ids[t] : row.first + t - begin;
    neighbours[t] = ((const INDEX*)row.of[INDICES])[position];
    edge_ids[t] = edge_at(pointer(row.of[EDGE_IDS]), position);
}

// Attention between nodes that share blocks: runs and factors of members, and sums over runs.
//
// Members of a side stand, for each head, block after block, in each by rising score. A member's
// run is how many of the other side, from the lowest on, are low with it. Sums over a block's
// givers are kept at every CHUNK of them: for low pairs those before a chunk, for high pairs those
// after it. Vectors have d numbers and, behind these, the sum of weights.
#include "common.cuh"

// Members that a thread goes through one after another.
#ifndef CHUNK
#define CHUNK 64
#endif

// What a thread is for: a head, one of n items, and one of the parts of that.
struct Item {
    i64 head, at, part;
};

__device__ __forceinline__ Item item_of(i64 t, i64 n_items, i64 n_parts) {
    Item item;
    item.part = t % n_parts;
    i64 rest = t / n_parts;
    item.at = rest % n_items;
    item.head = rest / n_items;
    return item;
}

__device__ __forceinline__ i64 thread_of_grid() { return blockIdx.x * (i64)blockDim.x + threadIdx.x; }

__device__ __forceinline__ double leaky(double u, double slope) { return u > slope * u ? u : slope * u; }

// The largest leaky score of each row's pairs, 0 where there are none: at an end of a block.
extern "C" __global__ void largest_of_rows(
    const i64* __restrict__ indptr, const A_INDEX* __restrict__ blocks,
    const i64* __restrict__ col_starts, const INDEX* __restrict__ columns,
    const REAL* __restrict__ row_score, const REAL* __restrict__ col_score, double slope,
    i64 n_rows, i64 n_columns, i64 n_heads, double* __restrict__ largest
) {
    i64 t = thread_of_grid();
    if (t >= n_rows * n_heads) return;
    i64 row = t / n_heads, head = t % n_heads;
    const INDEX* own = columns + head * n_columns;
    double found = -(double)INFINITY, r = row_score[t];
    for (i64 p = indptr[row]; p < indptr[row + 1]; ++p) {
        i64 first = col_starts[blocks[p]], last = col_starts[blocks[p] + 1] - 1;
        if (first > last) continue;
        double low = leaky(r + col_score[own[first] * n_heads + head], slope);
        double high = leaky(r + col_score[own[last] * n_heads + head], slope);
        found = found > low ? found : low;
        found = found > high ? found : high;
    }
    largest[t] = found == -(double)INFINITY ? 0 : found;
}

// Each member's place, run and factors. Factors of columns are relative to their block's largest,
// those of rows hold it, and are relative to the row's largest; `largest` is null for columns.
extern "C" __global__ void describe_members(
    const i64* __restrict__ order, const i64* __restrict__ starts,
    const i64* __restrict__ other_starts, const INDEX* __restrict__ members,
    const INDEX* __restrict__ others, const REAL* __restrict__ score,
    const REAL* __restrict__ other_score, const double* __restrict__ largest, double slope,
    i64 n_members, i64 n_others, i64 n_blocks, i64 n_heads, INDEX* __restrict__ places,
    INDEX* __restrict__ runs, double* __restrict__ factors
) {
    i64 t = thread_of_grid();
    if (t >= n_members * n_heads) return;
    i64 head = t / n_members, p = t % n_members, node = members[t];
    places[head * n_members + order[t]] = (INDEX)p;
    i64 block = last_at_most(starts, 0, n_blocks, p);
    const INDEX* theirs = others + head * n_others;
    i64 begin = other_starts[block], end = other_starts[block + 1];
    double own = score[node * n_heads + head];
    i64 low = begin, high = end;
    while (low < high) {
        i64 middle = (low + high) >> 1;
        if ((double)other_score[theirs[middle] * n_heads + head] <= -own) low = middle + 1;
        else high = middle;
    }
    runs[t] = (INDEX)(low - begin);
    double* low_and_high = factors + 2 * head * n_members + p;
#pragma unroll
    for (int k = 0; k < 2; ++k) {
        double a = k ? 1.0 : slope, power = 0;
        if (largest) {
            double top = 0;
            if (begin < end) top = a * other_score[theirs[a > 0 ? end - 1 : begin] * n_heads + head];
            power = a * own + top - largest[node * n_heads + head];
        } else {
            i64 peak = a > 0 ? starts[block + 1] - 1 : starts[block];
            power = a * own - a * score[members[head * n_members + peak] * n_heads + head];
        }
        low_and_high[k * n_members] = begin < end ? exp(power) : 0;
    }
}

// What one giver adds to number f of a sum.
__device__ __forceinline__ double share_of(
    const INDEX* givers, const double* factors, const REAL* x, const double* extra, i64 at,
    i64 head, i64 n_heads, i64 d, i64 f
) {
    i64 to = givers[at] * n_heads + head;
    double number = f < d ? (double)x[to * d + f] : extra ? extra[to] : 1.0;
    return factors[at] * number;
}

// Sums over the givers of each chunk.
extern "C" __global__ void sum_chunks(
    i64 high, const i64* __restrict__ starts, const i64* __restrict__ chunk_starts,
    const INDEX* __restrict__ givers, const double* __restrict__ factors,
    const REAL* __restrict__ x, const double* __restrict__ extra, i64 n_givers, i64 n_blocks,
    i64 n_chunks, i64 n_heads, i64 d, double* __restrict__ sums
) {
    i64 t = thread_of_grid();
    if (t >= n_heads * n_chunks * (d + 1)) return;
    Item item = item_of(t, n_chunks, d + 1);
    if (item.at >= chunk_starts[n_blocks]) return;
    i64 block = last_at_most(chunk_starts, 0, n_blocks, item.at);
    i64 first = starts[block] + (item.at - chunk_starts[block]) * CHUNK, last = first + CHUNK;
    if (last > starts[block + 1]) last = starts[block + 1];
    const INDEX* own = givers + item.head * n_givers;
    const double* factor = factors + (2 * item.head + high) * n_givers;
    double sum = 0;
#pragma unroll 4
    for (i64 at = first; at < last; ++at)
        sum += share_of(own, factor, x, extra, at, item.head, n_heads, d, item.part);
    sums[t] = sum;
}

// From sums of chunks those of all before them in their block, high of all after them.
extern "C" __global__ void add_chunks(
    i64 high, const i64* __restrict__ chunk_starts, i64 n_blocks, i64 n_chunks, i64 n_heads,
    i64 d, double* __restrict__ sums
) {
    i64 t = thread_of_grid();
    if (t >= n_heads * n_blocks * (d + 1)) return;
    Item item = item_of(t, n_blocks, d + 1);
    i64 first = chunk_starts[item.at], n = chunk_starts[item.at + 1] - first;
    double running = 0;
    for (i64 k = 0; k < n; ++k) {
        i64 chunk = first + (high ? n - 1 - k : k);
        double* at = sums + (item.head * n_chunks + chunk) * (d + 1) + item.part;
        double sum = *at;
        *at = running;
        running += sum;
    }
}

// Each taker's sum over its low givers, or its high ones. A thread goes through a chunk of takers
// so that runs grow, and adds the givers that are new; where these are many it begins at a chunk.
extern "C" __global__ void walk_takers(
    i64 high, const i64* __restrict__ starts, const i64* __restrict__ unit_starts,
    const INDEX* __restrict__ runs, const double* __restrict__ taken,
    const i64* __restrict__ from_starts, const i64* __restrict__ chunk_starts,
    const INDEX* __restrict__ givers, const double* __restrict__ factors,
    const REAL* __restrict__ x, const double* __restrict__ extra,
    const double* __restrict__ sums, i64 n_takers, i64 n_givers, i64 n_blocks, i64 n_units,
    i64 n_chunks, i64 n_heads, i64 d, double* __restrict__ found
) {
    i64 t = thread_of_grid();
    if (t >= n_heads * n_units * (d + 1)) return;
    Item item = item_of(t, n_units, d + 1);
    if (item.at >= unit_starts[n_blocks]) return;
    i64 head = item.head, f = item.part, block = last_at_most(unit_starts, 0, n_blocks, item.at);
    i64 first = starts[block] + (item.at - unit_starts[block]) * CHUNK, n = CHUNK;
    if (n > starts[block + 1] - first) n = starts[block + 1] - first;
    i64 begin = from_starts[block], m = from_starts[block + 1] - begin;
    i64 n_own = chunk_starts[block + 1] - chunk_starts[block];
    const INDEX* own = givers + head * n_givers + begin;
    const double* factor = factors + (2 * head + high) * n_givers + begin;
    const double* before = sums + (head * n_chunks + chunk_starts[block]) * (d + 1) + f;
    double running = 0;
    i64 at = high ? m : 0;
    for (i64 s = 0; s < n; ++s) {
        i64 p = first + (high ? s : n - 1 - s);
        i64 until = m ? (i64)runs[head * n_takers + p] : 0, gap = high ? at - until : until - at;
        if (gap > CHUNK) {
            i64 chunk = until / CHUNK < n_own ? until / CHUNK : n_own - 1;
            running = before[chunk * (d + 1)];
            at = high ? ((chunk + 1) * CHUNK < m ? (chunk + 1) * CHUNK : m) : chunk * CHUNK;
        }
        while (at < until) running += share_of(own, factor, x, extra, at++, head, n_heads, d, f);
        while (high && at > until)
            running += share_of(own, factor, x, extra, --at, head, n_heads, d, f);
        double factor_of_taker = taken[(2 * head + high) * n_takers + p];
        found[(head * n_takers + p) * (d + 1) + f] = factor_of_taker * running;
    }
}

// Sums over the blocks of each node.
extern "C" __global__ void sum_members(
    const i64* __restrict__ indptr, const INDEX* __restrict__ places,
    const double* __restrict__ found, i64 n_nodes, i64 n_members, i64 n_heads, i64 width,
    double* __restrict__ sums
) {
    i64 t = thread_of_grid();
    if (t >= n_nodes * n_heads * width) return;
    i64 f = t % width, head = t / width % n_heads, node = t / width / n_heads;
    const INDEX* own = places + head * n_members;
    const double* from = found + head * n_members * width + f;
    double sum = 0;
#pragma unroll 4
    for (i64 p = indptr[node]; p < indptr[node + 1]; ++p) sum += from[own[p] * width];
    sums[t] = sum;
}

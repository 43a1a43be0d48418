// Chains of structures, what is reached from a source, and searches back from a target: the answers
// and the counts of kernels/cpu/reach.py, by warps. All lanes of a warp call together, with equal
// arguments, what is not said to be for one thread.
#pragma once
#include "random.cuh"

// Columns to look at that one thread takes on alone where the other lanes have rows of their own.
#define ALONE 64

// The sorted columns of a node in a step.
struct Row {
    const INDEX* columns;
    i64 begin, end;
};

// What is reached at a level: at level 1 the row of the source, deeper a bit a node.
struct Marks {
    Row row;
    const u32* words;
};

// What a search back found: the nodes of the first chain at level `middle` and the one after.
struct Found {
    bool found;
    i64 n_edges, node, after;
};

__device__ __forceinline__ int lane_of_warp() { return threadIdx.x & 31; }

__device__ __forceinline__ Row row_of(const u64* table, i64 step, i64 node) {
    const i64* indptr = (const i64*)table[2 * step];
    return {(const INDEX*)table[2 * step + 1], indptr[node], indptr[node + 1]};
}

// Words of a source hold levels 2 and up, as first_nodes numbers them.
__device__ __forceinline__ u32* words_at(u32* words, const u64* first, i64 level) {
    return words + (first[level] - first[2]) / 32;
}

__device__ __forceinline__ Marks marks_at(
    const u64* forward, i64 source, const u32* words, const u64* first, i64 level
) {
    if (level == 1) return {row_of(forward, 0, source), nullptr};
    return {{nullptr, 0, 0}, words_at((u32*)words, first, level)};
}

// For one thread.
__device__ __forceinline__ bool is_marked(const Marks& marks, i64 node) {
    if (marks.words) return marks.words[node >> 5] >> (node & 31) & 1;
    i64 position = lower_bound(marks.row.columns, marks.row.begin, marks.row.end, node);
    return position < marks.row.end && marks.row.columns[position] == node;
}

// Whether the marks are a row shorter than another: then its columns are looked for in that one.
__device__ __forceinline__ bool is_shorter(const Marks& marks, const Row& row) {
    return !marks.words && marks.row.end - marks.row.begin < row.end - row.begin;
}

// The first position of a row whose column is marked, its end if none is. For one thread.
__device__ i64 find_alone(const Row& row, const Marks& marks) {
    if (is_shorter(marks, row)) {
        i64 from = row.begin;
        for (i64 p = marks.row.begin; p < marks.row.end && from < row.end; ++p) {
            from = lower_bound(row.columns, from, row.end, marks.row.columns[p]);
            if (from < row.end && row.columns[from] == marks.row.columns[p]) return from;
        }
        return row.end;
    }
    i64 position = row.begin;
    while (position < row.end && !is_marked(marks, row.columns[position])) ++position;
    return position;
}

// As find_alone, 32 columns at a time.
__device__ i64 find_together(const Row& row, const Marks& marks) {
    bool turned = is_shorter(marks, row);
    Row taken = turned ? marks.row : row;
    for (i64 base = taken.begin; base < taken.end; base += 32) {
        i64 position = base + lane_of_warp();
        bool hit = false;
        if (position < taken.end) {
            i64 column = taken.columns[position];
            if (turned) {
                position = lower_bound(row.columns, row.begin, row.end, column);
                hit = position < row.end && row.columns[position] == column;
            } else {
                hit = is_marked(marks, column);
            }
        }
        u32 hits = __ballot_sync(FULL_WARP, hit);
        if (hits) return __shfl_sync(FULL_WARP, position, __ffs(hits) - 1);
    }
    return row.end;
}

// Columns looked at to find a marked one in a row, at most.
__device__ __forceinline__ i64 columns_to_look_at(const Row& row, const Marks& marks) {
    return is_shorter(marks, row) ? marks.row.end - marks.row.begin : row.end - row.begin;
}

// The search back over two steps: every lane takes a row of the step before the last, alone where
// that is little work; the others are then searched by all lanes, in order, up to the first hit.
__device__ Found search_two_steps(const u64* backward, i64 middle, i64 target, const Marks& marks) {
    Row nodes = row_of(backward, middle + 1, target);
    i64 n_edges = 1;
    for (i64 base = nodes.begin; base < nodes.end; base += 32) {
        bool given = base + lane_of_warp() < nodes.end;
        i64 node = given ? (i64)nodes.columns[base + lane_of_warp()] : 0;
        Row row = {nullptr, 0, 0};
        if (given) row = row_of(backward, middle, node);
        bool together = columns_to_look_at(row, marks) > ALONE;
        i64 position = given && !together ? find_alone(row, marks) : row.end;
        u32 hits = __ballot_sync(FULL_WARP, position < row.end);
        u32 left = __ballot_sync(FULL_WARP, together);
        if (hits) left &= (1u << (__ffs(hits) - 1)) - 1;
        while (left) {
            int lane = __ffs(left) - 1;
            left &= left - 1;
            const INDEX* columns = (const INDEX*)backward[2 * middle + 1];
            i64 begin = __shfl_sync(FULL_WARP, row.begin, lane);
            i64 end = __shfl_sync(FULL_WARP, row.end, lane);
            i64 there = find_together({columns, begin, end}, marks);
            if (lane == lane_of_warp()) position = there;
            if (there < end) {
                hits = 1u << lane;
                left = 0;
            }
        }
        int last = hits ? __ffs(hits) - 1 : 31;
        bool counts = given && lane_of_warp() <= last;
        n_edges += warp_sum(counts ? position - row.begin + 1 : (i64)0);
        if (hits) {
            i64 met = lane_of_warp() == last ? (i64)row.columns[position] : 0;
            met = __shfl_sync(FULL_WARP, met, last);
            return {true, n_edges, met, __shfl_sync(FULL_WARP, node, last)};
        }
    }
    return {false, n_edges, -1, -1};
}

// What a search back over one step found, by where it stopped.
__device__ __forceinline__ Found found_at(const Row& row, i64 position, i64 target) {
    bool found = position < row.end;
    return {found, position - row.begin + 2, found ? (i64)row.columns[position] : -1, target};
}

// Looks back from a node of the last level for one marked at level `middle`, depth first.
__device__ Found search(const u64* backward, i64 n_steps, i64 middle, i64 target, const Marks& marks) {
    if (n_steps == middle) return {is_marked(marks, target), 1, target, -1};
    if (n_steps == middle + 2) return search_two_steps(backward, middle, target, marks);
    Row row = row_of(backward, middle, target);
    return found_at(row, find_together(row, marks), target);
}

// Paths by their numbers, and whether one is the first of those that join its ends.
#pragma once
#include "reach.cuh"

// Counts of paths stop here, as in kernels/cpu/path_try.py.
#define MOST_PATHS (1ll << 61)

// Edges whose onward paths are summed, so that a path's edge is found in few steps.
#define CHUNK 32

// What paths are numbered by: for step j < L - 1, onward[j] are the paths from its columns to the
// end, and before[j] those of all its edges before each chunk of CHUNK, modulo 2^64.
struct Numbering {
    const u64* forward;
    i64 n_steps;
    const u64 *onward, *before;
};

// The edge of a row of step j on which its path `number` begins; leaves the number of the path among
// those onward from there. Differences of sums are right as the paths of one row are few enough.
__device__ i64 edge_of(const Numbering& paths, i64 j, const Row& row, u64& number) {
    const u64* onward = (const u64*)paths.onward[j];
    const u64* before = (const u64*)paths.before[j];
    i64 low = row.begin / CHUNK, high = (row.end - 1) / CHUNK + 1;
    u64 origin = before[low];
    i64 position = row.begin;
    if (high - low > 1) {
        for (i64 p = low * CHUNK; p < row.begin; ++p) origin += onward[row.columns[p]];
        while (high - low > 1) {
            i64 middle = (low + high) >> 1;
            if (before[middle] - origin <= number) low = middle;
            else high = middle;
        }
        if (low > row.begin / CHUNK) {
            position = low * CHUNK;
            number -= before[low] - origin;
        }
    }
    while (true) {
        u64 n = onward[row.columns[position]];
        if (number < n) return position;
        number -= n;
        ++position;
    }
}

// Puts the nodes of a source's path `number` into path[0..n_steps]; whether its edges are the first
// of parallel ones. For one thread.
__device__ bool walk(const Numbering& paths, i64 source, u64 number, i64* path) {
    bool all_first = true;
    path[0] = source;
    for (i64 j = 0; j < paths.n_steps; ++j) {
        Row row = row_of(paths.forward, j, path[j]);
        i64 position = j == paths.n_steps - 1 ? row.begin + (i64)number : edge_of(paths, j, row, number);
        INDEX node = row.columns[position];
        if (position > row.begin && row.columns[position - 1] == node) all_first = false;
        path[j + 1] = node;
    }
    return all_first;
}

// Whether a path goes where the search back from its end, done before, goes first. A warp together.
__device__ bool is_first(
    const i64* path, const Found& back, const u64* forward, const u64* backward, i64 n_steps,
    i64 middle, const u32* words, const u64* first
) {
    if (n_steps == middle + 2 && back.after != path[middle + 1]) return false;
    if (back.node != path[middle]) return false;
    for (i64 level = middle; level > 1; --level) {
        Row row = row_of(backward, level - 1, path[level]);
        i64 position = find_together(row, marks_at(forward, path[0], words, first, level - 1));
        if (row.columns[position] != path[level - 1]) return false;
    }
    return true;
}

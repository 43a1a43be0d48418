// Targets that a chain of steps joins to a source, or does not, each of them equally likely.
#include "path.cuh"

// Tries of a round; as in kernels/cpu/path_draw.py, as the edges of a round are all counted.
#ifndef TRIES_AT_ONCE
#define TRIES_AT_ONCE 16
#endif
// What a try costs beside the edges looked at, and in place of a target: there is none.
#ifndef EDGES_A_TRY
#define EDGES_A_TRY 100
#endif
#define NONE -1

// A lane's search back from a target over one step, if that is little work and the lane has one.
__device__ bool search_alone(
    const u64* backward, i64 n_steps, i64 meet, i64 target, const Marks& marks, bool given, Found& back
) {
    if (!given || n_steps != meet + 1) return false;
    Row row = row_of(backward, meet, target);
    if (columns_to_look_at(row, marks) > ALONE) return false;
    back = found_at(row, find_alone(row, marks), target);
    return true;
}

// What a lane found, for all lanes.
__device__ Found share(const Found& back, int lane) {
    return {
        (bool)__shfl_sync(FULL_WARP, (int)back.found, lane), __shfl_sync(FULL_WARP, back.n_edges, lane),
        __shfl_sync(FULL_WARP, back.node, lane), __shfl_sync(FULL_WARP, back.after, lane)
    };
}

// A warp a source tries paths, or nodes where paths outnumber them: in rounds of a try a lane, whose
// targets are then searched back from by their lanes, where that is much work by all lanes together.
extern "C" __global__ void try_targets(
    const u64* forward, const u64* backward, i64 n_steps, i64 middle, i64 meet, const u64* first,
    const u64* onward, const u64* before, const i64* sources, const i64* places, i64 n_places,
    i64 per_source, i64 n_targets, i64 joined, u64 seed, u64 block, const i64* n_paths,
    const i64* to_list, i64 most_edges, const u32* words, i64 words_each,
    i64* targets, i64* n_drawn, i64* n_tries
) {
    DYNAMIC_SHARED(i64, shared);
    i64 w = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 32;
    if (w >= n_places) return;
    i64* paths = shared + threadIdx.x / 32 * TRIES_AT_ONCE * (n_steps + 1);
    int lane = lane_of_warp();
    i64 r = places[w], source = sources[r];
    u64 key = stream_key(seed, block, source);
    if (words) words += w * words_each;
    Marks marks = marks_at(forward, source, words, first, meet);
    Numbering numbering = {forward, n_steps, onward, before};
    i64 by_path = joined && n_paths[r] < n_targets ? n_paths[r] : 0;
    i64 most = to_list[r] < most_edges ? to_list[r] : most_edges;
    i64 drawn = 0, tried = 0, n_edges = 0;
    while (drawn < per_source && n_edges < most) {
        i64 n = per_source - drawn < TRIES_AT_ONCE ? per_source - drawn : TRIES_AT_ONCE;
        bool fits = true;
        if (lane < n) {
            i64* path = paths + lane * (n_steps + 1);
            u64 bits = random_bits(key, tried + lane);
            if (by_path) fits = walk(numbering, source, random_below(bits, by_path), path);
            else path[n_steps] = random_below(bits, n_targets);
        }
        __syncwarp();
        Found own = {false, 0, -1, -1};
        i64 end = lane < n ? paths[lane * (n_steps + 1) + n_steps] : 0;
        u32 alone = __ballot_sync(
            FULL_WARP, search_alone(backward, n_steps, meet, end, marks, lane < n, own)
        );
        for (int t = 0; t < n; ++t) {
            const i64* path = paths + t * (n_steps + 1);
            i64 target = path[n_steps];
            Found back = alone >> t & 1 ? share(own, t) : search(backward, n_steps, meet, target, marks);
            n_edges += (middle == n_steps ? 1 : back.n_edges) + EDGES_A_TRY;
            bool found = back.found;
            if (by_path) {
                found = __shfl_sync(FULL_WARP, (int)fits, t);
                found = found && is_first(path, back, forward, backward, n_steps, meet, words, first);
            }
            if (found == (joined != 0)) {
                if (lane == 0) targets[r * per_source + drawn] = target;
                ++drawn;
            }
        }
        tried += n;
        __syncwarp();
    }
    if (lane == 0) n_drawn[r] = drawn, n_tries[r] = tried;
}

// Marks the columns of 32 rows at most, a row a lane, and lists those not marked before behind the n
// there are, in the order of rows and columns; how many there are then. The entries of all rows are
// numbered through and taken 32 at a time, so that short rows do not leave lanes idle.
__device__ i64 list_rows(const INDEX* columns, i64 begin, i64 degree, u32* words, INDEX* nodes, i64 n) {
    int lane = lane_of_warp();
    i64 upto = degree;
    for (int step = 1; step < 32; step <<= 1) {
        i64 before = __shfl_up_sync(FULL_WARP, upto, step);
        if (lane >= step) upto += before;
    }
    i64 total = __shfl_sync(FULL_WARP, upto, 31), shift = begin - (upto - degree);
    for (i64 base = 0; base < total; base += 32) {
        i64 entry = base + lane;
        int row = 0;
        for (int step = 16; step > 0; step >>= 1)
            if (__shfl_sync(FULL_WARP, upto, row + step - 1) <= entry) row += step;
        i64 position = __shfl_sync(FULL_WARP, shift, row) + entry;
        INDEX node = entry < total ? columns[position] : (INDEX)(-1 - lane);
        u32 same = __match_any_sync(FULL_WARP, node), bit = 1u << (node & 31);
        u32* word = words + (entry < total ? node >> 5 : 0);
        bool fresh = entry < total && __ffs(same) - 1 == lane && !(*word & bit);
        u32 all = __ballot_sync(FULL_WARP, fresh);
        if (fresh) {
            nodes[n + __popc(all & ((1u << lane) - 1))] = node;
            atomicOr(word, bit);
        }
        n += __popc(all);
        __syncwarp();
    }
    return n;
}

// Marks and lists what a source reaches at every level, in the order of kernels/cpu/reach.py. A warp
// together.
__device__ void list_levels(
    const u64* forward, i64 n_steps, const u64* first, i64 source, u32* words, INDEX* nodes, i64* n_found
) {
    for (i64 step = 0; step < n_steps; ++step) {
        i64 there = first[step + 1], n = 0, n_here = step ? n_found[step] : 1;
        for (i64 base = 0; base < n_here; base += 32) {
            i64 i = base + lane_of_warp();
            Row row = {nullptr, 0, 0};
            if (i < n_here) row = row_of(forward, step, step ? (i64)nodes[first[step] + i] : source);
            const INDEX* columns = (const INDEX*)forward[2 * step + 1];
            n = list_rows(columns, row.begin, row.end - row.begin, words + there / 32, nodes + there, n);
        }
        if (lane_of_warp() == 0) n_found[step + 1] = n;
        __syncwarp();
    }
}

// Fills targets from those listed, in any order of lanes, or with the first draws not marked.
__device__ void draw_listed(
    const INDEX* found, i64 n_found, const u32* words, i64 here, u64 key, i64 draw, i64 n_targets,
    i64 joined, i64* targets, i64 n
) {
    int lane = lane_of_warp();
    i64 n_fitting = joined ? n_found : n_targets - n_found;
    if (joined || n_fitting == 0) {
        for (i64 t = lane; t < n; t += 32)
            targets[t] = n_fitting ? (i64)found[random_below(random_bits(key, draw + t), n_fitting)] : NONE;
        return;
    }
    for (i64 filled = 0; filled < n; draw += 32) {
        i64 node = random_below(random_bits(key, draw + lane), n_targets);
        bool fits = !(words[(here + node) >> 5] >> (node & 31) & 1);
        u32 all = __ballot_sync(FULL_WARP, fits);
        i64 place = filled + __popc(all & ((1u << lane) - 1));
        if (fits && place < n) targets[place] = node;
        filled += __popc(all);
    }
}

// As many warps as there is scratch for take sources in turn, list what each reaches, draw from that
// or from the rest, and clear their marks by the lists.
extern "C" __global__ void list_targets(
    const u64* forward, i64 n_steps, const u64* first, const i64* sources, const i64* places,
    i64 n_places, i64 per_source, i64 n_targets, i64 joined, u64 seed, u64 block,
    const i64* n_drawn, const i64* n_tries, i64* next, i64 n_warps, u32* words, INDEX* nodes,
    i64 nodes_each, i64* targets
) {
    DYNAMIC_SHARED(i64, shared);
    i64 w = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 32;
    if (w >= n_warps) return;
    i64* n_found = shared + threadIdx.x / 32 * (n_steps + 1);
    int lane = lane_of_warp();
    words += w * (i64)(first[n_steps + 1] / 32);
    nodes += w * nodes_each;
    while (true) {
        i64 taken = 0;
        if (lane == 0) taken = atomicAdd((u64*)next, 1ull);
        taken = __shfl_sync(FULL_WARP, taken, 0);
        if (taken >= n_places) return;
        i64 r = places[taken], source = sources[r], last = first[n_steps];
        list_levels(forward, n_steps, first, source, words, nodes, n_found);
        draw_listed(
            nodes + last, n_found[n_steps], words, last, stream_key(seed, block, source), n_tries[r],
            n_targets, joined, targets + r * per_source + n_drawn[r], per_source - n_drawn[r]
        );
        __syncwarp();
        for (i64 level = 1; level <= n_steps; ++level)
            for (i64 i = lane; i < n_found[level]; i += 32)
                words[(first[level] + nodes[first[level] + i]) >> 5] = 0;
        __syncwarp();
    }
}

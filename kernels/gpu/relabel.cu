// Nodes numbered by a bitmap of those met, and rows of them sorted by number. The types of a hop go
// together: each has words of one bitmap, and tables say which ids belong to which.
#include "entry.cuh"

#ifndef PLACE
#define PLACE int
#endif

// Columns of the tables: of types, whose ids are those numbered first, and of parts, whose ids are
// others met. A block reads one part, as ids are counted from BEGIN on, a multiple of its threads.
enum { BEGIN, N_IDS, FIRST_WORD, IDS, ROW_BEGIN, N_ROWS, INDPTR, EDGE_IDS, WIDTH };

// The thread's part of a table, and the thread's place among its ids or beyond them.
struct Entry {
    const i64* of;
    i64 t;
};

__device__ __forceinline__ Entry entry_of_thread(const i64* table, i64 n_parts) {
    i64 begin = table[BEGIN] + blockIdx.x * (i64)blockDim.x;
    const i64* of = part_of<WIDTH>(table, n_parts, BEGIN, begin);
    return {of, begin - of[BEGIN] + threadIdx.x};
}

// How many bits are set below that of a node whose type has the words.
__device__ __forceinline__ i64 rank_of(i64 node, const u64* words, const i64* ranks) {
    return ranks[node >> 6] + __popcll(words[node >> 6] & ((1ull << (node & 63)) - 1));
}

// Sets the bits of ids: one thread an id. A bit seen to be set is let alone, as many threads may
// meet the same node and atomics on a word take turns.
extern "C" __global__ void mark(const i64* table, i64 n_parts, u64* words) {
    Entry entry = entry_of_thread(table, n_parts);
    if (entry.t >= entry.of[N_IDS]) return;
    i64 node = ((const INDEX*)entry.of[IDS])[entry.t];
    u64 bit = 1ull << (node & 63), *word = words + entry.of[FIRST_WORD] + (node >> 6);
    if (!(*word & bit)) atomicOr(word, bit);
}

// Counts the bits set in each word, and those of them not in `old`: one thread a word.
extern "C" __global__ void count_bits(const u64* old, const u64* words, i64 n, i64* n_set, i64* n_new) {
    i64 w = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (w >= n) return;
    n_set[w] = __popcll(words[w]);
    n_new[w] = __popcll(words[w] & ~old[w]);
}

// What the host must know: bits set before each type's words and in all, one thread a type; and the
// longest row of each part, one thread a row.
extern "C" __global__ void measure(
    const i64* types, i64 n_types, const i64* ranks, i64 n_words, const i64* parts, i64 n_parts, i64 n_rows,
    i64* stops, i64* longest
) {
    i64 r = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (r <= n_types) stops[r] = ranks[r < n_types ? types[r * WIDTH + FIRST_WORD] : n_words];
    if (r >= n_rows) return;
    const i64* part = part_of<WIDTH>(parts, n_parts, ROW_BEGIN, r);
    const i64* begin = (const i64*)part[INDPTR] + (r - part[ROW_BEGIN]);
    i64 length = begin[1] - begin[0], *most = longest + (part - parts) / WIDTH;
    if (length > *most) atomicMax(most, length);
}

// Numbers the nodes that come first, in their order: one thread a node.
extern "C" __global__ void place_first(
    const i64* types, i64 n_types, const u64* words, const i64* ranks, PLACE* places, i64* nodes
) {
    Entry entry = entry_of_thread(types, n_types);
    if (entry.t >= entry.of[N_IDS]) return;
    i64 first_word = entry.of[FIRST_WORD], node = ((const i64*)entry.of[IDS])[entry.t];
    places[rank_of(node, words + first_word, ranks + first_word)] = (PLACE)entry.t;
    nodes[ranks[first_word] + entry.t] = node;
}

// Numbers the nodes not in `old`, after the others of their type, by rising id: one thread a word.
extern "C" __global__ void place_new(
    const i64* types, i64 n_types, const u64* old, const u64* words, const i64* ranks, const i64* n_new_before,
    i64 n_words, PLACE* places, i64* nodes
) {
    i64 w = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (w >= n_words || !(words[w] & ~old[w])) return;
    const i64* type = part_of<WIDTH>(types, n_types, FIRST_WORD, w);
    i64 first_word = type[FIRST_WORD], first_rank = ranks[first_word];
    i64 k = type[N_IDS] + n_new_before[w] - n_new_before[first_word];
    for (u64 left = words[w] & ~old[w]; left; left &= left - 1, ++k) {
        u64 below = (left & (0 - left)) - 1;
        places[ranks[w] + __popcll(words[w] & below)] = (PLACE)k;
        nodes[first_rank + k] = ((w - first_word) << 6) + __popcll(below);
    }
}

// The number of each of some nodes of one type: one thread a node.
extern "C" __global__ void look_up(
    const INDEX* nodes, i64 n, const u64* words, const i64* ranks, const PLACE* places, PLACE* local
) {
    i64 t = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (t < n) local[t] = places[rank_of(nodes[t], words, ranks)];
}

// The number of each id of all parts: one thread an id.
extern "C" __global__ void look_up_parts(
    const i64* parts, i64 n_parts, const u64* words, const i64* ranks, const PLACE* places, PLACE* local
) {
    Entry entry = entry_of_thread(parts, n_parts);
    if (entry.t >= entry.of[N_IDS]) return;
    i64 first_word = entry.of[FIRST_WORD], node = ((const INDEX*)entry.of[IDS])[entry.t];
    local[entry.of[BEGIN] + entry.t] = places[rank_of(node, words + first_word, ranks + first_word)];
}

// Sorts the rows of parts by number, those equal in the order given: one thread an entry, which
// counts the entries of its row that belong before it. Threads of a row read the same numbers at
// once. Parts with a row longer than `most` are let alone.
extern "C" __global__ void rank_rows(
    const i64* parts, i64 n_parts, const i64* longest, i64 most, const PLACE* numbers, PLACE* local, i64* edge_ids
) {
    Entry entry = entry_of_thread(parts, n_parts);
    if (longest[(entry.of - parts) / WIDTH] > most) return;
    const i64* indptr = (const i64*)entry.of[INDPTR];
    i64 r = row_of_entry(indptr, entry.of[N_ROWS], entry.t, entry.of[N_IDS]);
    if (entry.t >= entry.of[N_IDS]) return;
    i64 first = indptr[r], stop = indptr[r + 1], begin = entry.of[BEGIN], place = begin + first;
    PLACE own = numbers[begin + entry.t];
    for (i64 s = first; s < stop; ++s) {
        PLACE other = numbers[begin + s];
        place += other < own || (other == own && s < entry.t);
    }
    local[place] = own;
    edge_ids[place] = ((const i64*)entry.of[EDGE_IDS])[entry.t];
}

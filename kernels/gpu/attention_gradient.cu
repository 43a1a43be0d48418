// Graph attention, backward, in one pass over the edges by column.
#include "attention.cuh"

// Lanes for the numbers of one head.
#ifndef HEAD_LANES
#define HEAD_LANES 16
#endif

// What an edge wants to know of its row, side by side: r, log_sum, and <g, y>.
struct alignas(16) About {
    REAL score, log_sum, mean, unused;
};

// Backward, by row: a group of lanes a head of a row. Writes what edges want to know of the row.
extern "C" __global__ void __launch_bounds__(256) describe_rows(
    const REAL* __restrict__ row_score, REAL slope, const Numbers* __restrict__ y,
    const REAL* __restrict__ log_sum, const Numbers* __restrict__ positive_y,
    const REAL* __restrict__ positive_weight, const Numbers* __restrict__ grad, i64 n_items,
    i64 head_vectors, About* __restrict__ about, REAL* __restrict__ d_row_score
) {
    i64 item = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / HEAD_LANES;
    int slot = threadIdx.x % HEAD_LANES;
    REAL whole = 0, part = 0;
    if (item < n_items) {
        for (i64 v = item * head_vectors + slot; v < (item + 1) * head_vectors; v += HEAD_LANES) {
            Numbers g = grad[v], of_all = y[v], of_up = positive_y[v];
#pragma unroll
            for (int c = 0; c < VEC; ++c) {
                whole += g.at[c] * of_all.at[c];
                part += g.at[c] * of_up.at[c];
            }
        }
    }
#pragma unroll
    for (int step = HEAD_LANES / 2; step > 0; step >>= 1) {
        whole += __shfl_xor_sync(FULL_WARP, whole, step);
        part += __shfl_xor_sync(FULL_WARP, part, step);
    }
    if (slot > 0 || item >= n_items) return;
    about[item] = {row_score[item], log_sum[item], whole, 0};
    d_row_score[item] = (1 - slope) * (part - whole * positive_weight[item]);
}

// The gradient of a column's score, from sums over its edges: <all, x> and <up, x>, and those of the
// weights times <g, y>. Dot products of edges are not needed, only those of their sums.
__device__ __forceinline__ REAL score_gradient(
    REAL slope, REAL dot_all, REAL of_all, REAL dot_up, REAL of_up
) {
    return slope * (dot_all - of_all) + (1 - slope) * (dot_up - of_up);
}

// Backward, by column: a team sums weight times g over the edges of one column, of all and of those
// with u > 0, and multiplies the sums by the column's x. Pieces leave their sums.
extern "C" __global__ void __launch_bounds__(256, BLOCKS) attend_columns(
    const i64* __restrict__ indptr, const INDEX* __restrict__ indices,
    const About* __restrict__ about, const REAL* __restrict__ col_score,
    const Numbers* __restrict__ x, REAL slope, const Numbers* __restrict__ grad,
    const i64* __restrict__ pieces, i64 n_cols, i64 n_pieces, i64 most, i64 n_heads,
    i64 heads_a_team, i64 head_vectors, i64 n_tiles, REAL* __restrict__ d_col_score,
    Numbers* __restrict__ d_x, Numbers* __restrict__ piece_all, Numbers* __restrict__ piece_up,
    REAL* __restrict__ piece_of_all, REAL* __restrict__ piece_of_up
) {
    __shared__ REAL products[HEADED ? 256 / TEAM : 1][HEADED ? TILE : 1];
    Place place = place_of_thread();
    int heads = (int)n_heads, blocks = (int)(n_heads / heads_a_team), block = 0;
    i64 unit = place.team;
    if (blocks > 1) {
        unit = place.team / blocks;
        block = (int)(place.team - unit * blocks);
    }
    Work work = work_of(unit, indptr, n_cols, pieces, n_pieces, most);
    int longest = longest_in_warp(work.n);
    REAL d_score = 0, ones[STREAMS];
#pragma unroll
    for (int k = 0; k < STREAMS; ++k) ones[k] = 1;
    for (int tile = 0; tile < n_tiles; ++tile) {
        Part part = part_of(place, block, tile, n_heads, heads_a_team, head_vectors);
        Sums sums = no_sums();
        REAL column[STREAMS];
#pragma unroll
        for (int k = 0; k < STREAMS; ++k)
            column[k] = work.row < 0 ? 0 : col_score[work.row * n_heads + part.head[k]];
        const Numbers* from = grad + part.at;
        for (int at = 0; at < longest; at += TEAM) {
            INDEX i = at + place.in_team < work.n ? indices[work.first + at + place.in_team] : 0;
            for (int s = 0; s < TEAM && at + s < longest; s += GROUPS * UNROLL) {
                Numbers seen[UNROLL][VECS];
                About row[UNROLL][STREAMS];
#pragma unroll
                for (int m = 0; m < UNROLL; ++m) {
                    int q = s + m * GROUPS + place.group;
                    INDEX node = __shfl_sync(FULL_WARP, i, place.base + q);
                    bool there = at + q < work.n;
#pragma unroll
                    for (int k = 0; k < STREAMS; ++k) {
                        row[m][k] = {0, (REAL)INFINITY, 0, 0};
                        if (there) row[m][k] = about[(i64)node * heads + part.head[k]];
                    }
#pragma unroll
                    for (int k = 0; k < VECS; ++k)
                        seen[m][k] = there && k * LANES < part.left
                            ? from[(i64)node * part.stride + k * LANES] : no_numbers();
                }
#pragma unroll
                for (int m = 0; m < UNROLL; ++m)
#pragma unroll
                    for (int k = 0; k < STREAMS; ++k) {
                        REAL u = row[m][k].score + column[k];
                        REAL weight = exp((u > 0 ? u : slope * u) - row[m][k].log_sum);
                        REAL up = u > 0 ? weight : (REAL)0;
                        sums.of_all[k] += weight * row[m][k].mean;
                        sums.of_up[k] += up * row[m][k].mean;
#pragma unroll
                        for (int v = HEADED ? k : 0; v < (HEADED ? k + 1 : VECS); ++v)
#pragma unroll
                            for (int c = 0; c < VEC; ++c) {
                                sums.all[v].at[c] += weight * seen[m][v].at[c];
                                sums.up[v].at[c] += up * seen[m][v].at[c];
                            }
                    }
            }
        }
#pragma unroll
        for (int step = LANES; step < TEAM; step <<= 1) add_lane(sums, step, ones, ones);
        bool whole = work.piece < 0, ours = work.row >= 0 && place.group == 0;
        i64 to = (i64)(whole ? work.row : work.piece) * part.stride;
        if (ours) store((whole ? d_x : piece_all) + to, part, sums.all, ones);
        if (ours && !whole) {
            store(piece_up + to, part, sums.up, ones);
#pragma unroll
            for (int k = 0; k < STREAMS; ++k)
                if (part.tells[k]) {
                    piece_of_all[work.piece * n_heads + part.head[k]] = sums.of_all[k];
                    piece_of_up[work.piece * n_heads + part.head[k]] = sums.of_up[k];
                }
        }
        // Each lane's share of the gradient; what belongs to a head is in its first lane's only.
#pragma unroll
        for (int k = 0; k < VECS; ++k) {
            REAL all = 0, up = 0;
            if (ours && whole && k * LANES < part.left) {
                Numbers own = x[to + part.at + k * LANES];
#pragma unroll
                for (int c = 0; c < VEC; ++c) {
                    all += sums.all[k].at[c] * own.at[c];
                    up += sums.up[k].at[c] * own.at[c];
                }
            }
            bool tells = part.tells[HEADED ? k : 0] && (HEADED || k == 0);
            REAL of_all = tells ? sums.of_all[HEADED ? k : 0] : 0;
            REAL of_up = tells ? sums.of_up[HEADED ? k : 0] : 0;
            REAL share = score_gradient(slope, all, of_all, up, of_up);
            if (!HEADED) d_score += share;
            else if (place.group == 0) products[threadIdx.x / TEAM][k * LANES + place.slot] = share;
        }
    }
    if (!HEADED) {
#pragma unroll
        for (int step = LANES / 2; step > 0; step >>= 1)
            d_score += __shfl_xor_sync(FULL_WARP, d_score, step);
        if (work.row >= 0 && work.piece < 0 && place.in_team == 0)
            d_col_score[work.row * n_heads + block] = d_score;
        return;
    }
    __syncwarp();
    if (work.row < 0 || work.piece >= 0) return;
    for (int h = place.in_team; h < heads_a_team; h += TEAM) {
        d_score = 0;
        for (int v = h * (int)head_vectors; v < (h + 1) * (int)head_vectors; ++v)
            d_score += products[threadIdx.x / TEAM][v];
        d_col_score[work.row * n_heads + block * heads_a_team + h] = d_score;
    }
}

// A block joins the pieces of one head of a heavy column, 32 numbers at a time, each warp adding
// every 16th piece; the first warp then adds over the warps, and over its lanes for the score.
extern "C" __global__ void __launch_bounds__(512, 1) join_columns(
    const i64* heavy, const REAL* x, REAL slope, const REAL* piece_all, const REAL* piece_up,
    const REAL* piece_of_all, const REAL* piece_of_up, i64 n_heads, i64 d, REAL* d_col_score, REAL* d_x
) {
    __shared__ REAL all_by_warp[16][33], up_by_warp[16][33];
    u32 at = blockIdx.x / (u32)n_heads;
    i64 head = blockIdx.x - at * (u32)n_heads;
    i64 column = heavy[3 * at], first = heavy[3 * at + 1], last = heavy[3 * at + 2];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    REAL dot_all = 0, dot_up = 0;
    for (i64 begin = 0; begin < d; begin += 32) {
        i64 f = begin + lane;
        REAL all = 0, up = 0;
        if (f < d) {
#pragma unroll 4
            for (i64 piece = first + warp; piece < last; piece += 16) {
                all += piece_all[(piece * n_heads + head) * d + f];
                up += piece_up[(piece * n_heads + head) * d + f];
            }
        }
        all_by_warp[warp][lane] = all;
        up_by_warp[warp][lane] = up;
        __syncthreads();
        if (warp == 0 && f < d) {
            for (int w = 1; w < 16; ++w) {
                all += all_by_warp[w][lane];
                up += up_by_warp[w][lane];
            }
            i64 to = (column * n_heads + head) * d + f;
            d_x[to] = all;
            dot_all += all * x[to];
            dot_up += up * x[to];
        }
        __syncthreads();
    }
    if (warp > 0) return;
    REAL of_all = 0, of_up = 0;
    for (i64 piece = first + lane; piece < last; piece += 32) {
        of_all += piece_of_all[piece * n_heads + head];
        of_up += piece_of_up[piece * n_heads + head];
    }
    REAL d_score = warp_sum(score_gradient(slope, dot_all, of_all, dot_up, of_up));
    if (lane == 0) d_col_score[column * n_heads + head] = d_score;
}

// Graph attention, forward, in one pass over the edges.
#include "attention.cuh"

// Forward. A team sums over the edges of one row for one tile, against the largest score so far:
// sums are scaled down when a larger one comes. Pieces leave their sums and their largest score.
extern "C" __global__ void __launch_bounds__(256, BLOCKS) attend_rows(
    const i64* __restrict__ indptr, const INDEX* __restrict__ indices,
    const REAL* __restrict__ row_score, const REAL* __restrict__ col_score,
    const Numbers* __restrict__ x, REAL slope, const i64* __restrict__ pieces, i64 n_rows,
    i64 n_pieces, i64 most, i64 n_heads, i64 heads_a_team, i64 head_vectors, i64 n_tiles,
    Numbers* __restrict__ y, REAL* __restrict__ log_sum, Numbers* __restrict__ positive_y,
    REAL* __restrict__ positive_weight, Numbers* __restrict__ piece_y,
    Numbers* __restrict__ piece_positive_y, REAL* __restrict__ piece_top,
    REAL* __restrict__ piece_weight, REAL* __restrict__ piece_positive
) {
    Place place = place_of_thread();
    int heads = (int)n_heads, tiles = (int)n_tiles, a_row = (int)(n_heads / heads_a_team) * tiles, rest = 0;
    i64 unit = place.team;
    if (a_row > 1) {
        unit = place.team / a_row;
        rest = (int)(place.team - unit * a_row);
    }
    Part part = part_of(place, rest / tiles, rest % tiles, n_heads, heads_a_team, head_vectors);
    Work work = work_of(unit, indptr, n_rows, pieces, n_pieces, most);
    Sums sums = no_sums();
    REAL row[STREAMS], top[STREAMS];
#pragma unroll
    for (int k = 0; k < STREAMS; ++k) {
        row[k] = work.row < 0 ? 0 : row_score[work.row * n_heads + part.head[k]];
        top[k] = -(REAL)INFINITY;
    }
    const Numbers* from = x + part.at;
    int longest = longest_in_warp(work.n);
    for (int at = 0; at < longest; at += TEAM) {
        INDEX j = at + place.in_team < work.n ? indices[work.first + at + place.in_team] : 0;
        for (int s = 0; s < TEAM && at + s < longest; s += GROUPS * UNROLL) {
            Numbers seen[UNROLL][VECS];
            REAL u[UNROLL][STREAMS];
#pragma unroll
            for (int m = 0; m < UNROLL; ++m) {
                int q = s + m * GROUPS + place.group;
                INDEX node = __shfl_sync(FULL_WARP, j, place.base + q);
                bool there = at + q < work.n;
#pragma unroll
                for (int k = 0; k < STREAMS; ++k)
                    u[m][k] = there ? col_score[(i64)node * heads + part.head[k]] : 0;
#pragma unroll
                for (int k = 0; k < VECS; ++k)
                    seen[m][k] = there && k * LANES < part.left
                        ? from[(i64)node * part.stride + k * LANES] : no_numbers();
            }
#pragma unroll
            for (int k = 0; k < STREAMS; ++k) {
                REAL score[UNROLL], largest = top[k];
#pragma unroll
                for (int m = 0; m < UNROLL; ++m) {
                    bool there = at + s + m * GROUPS + place.group < work.n;
                    u[m][k] += row[k];
                    score[m] = there ? (u[m][k] > 0 ? u[m][k] : slope * u[m][k]) : -(REAL)INFINITY;
                    largest = larger_of(largest, score[m]);
                }
                REAL shift = shift_of(largest), down = exp(top[k] - shift);
                top[k] = largest;
                sums.of_all[k] *= down;
                sums.of_up[k] *= down;
#pragma unroll
                for (int v = HEADED ? k : 0; v < (HEADED ? k + 1 : VECS); ++v)
#pragma unroll
                    for (int c = 0; c < VEC; ++c) {
                        sums.all[v].at[c] *= down;
                        sums.up[v].at[c] *= down;
                    }
#pragma unroll
                for (int m = 0; m < UNROLL; ++m) {
                    REAL weight = exp(score[m] - shift), up = u[m][k] > 0 ? weight : (REAL)0;
                    sums.of_all[k] += weight;
                    sums.of_up[k] += up;
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
    }
#pragma unroll
    for (int step = LANES; step < TEAM; step <<= 1) {
        REAL own[STREAMS], theirs[STREAMS];
#pragma unroll
        for (int k = 0; k < STREAMS; ++k) {
            REAL other = __shfl_xor_sync(FULL_WARP, top[k], step);
            REAL largest = larger_of(top[k], other), shift = shift_of(largest);
            own[k] = exp(top[k] - shift);
            theirs[k] = exp(other - shift);
            top[k] = largest;
        }
        add_lane(sums, step, own, theirs);
    }
    if (work.row < 0 || place.group > 0) return;
    REAL by[STREAMS];
    bool whole = work.piece < 0;
#pragma unroll
    for (int k = 0; k < STREAMS; ++k) {
        by[k] = !whole ? 1 : work.n ? 1 / sums.of_all[k] : 0;
        if (!part.tells[k]) continue;
        i64 to = (whole ? work.row : work.piece) * n_heads + part.head[k];
        if (whole) {
            log_sum[to] = work.n ? top[k] + log(sums.of_all[k]) : 0;
            positive_weight[to] = by[k] * sums.of_up[k];
        } else {
            piece_top[to] = top[k];
            piece_weight[to] = sums.of_all[k];
            piece_positive[to] = sums.of_up[k];
        }
    }
    i64 to = (i64)(whole ? work.row : work.piece) * part.stride;
    store((whole ? y : piece_y) + to, part, sums.all, by);
    store((whole ? positive_y : piece_positive_y) + to, part, sums.up, by);
}

// A block joins the pieces of one heavy row for 32 numbers of one head. Every warp finds the row's
// largest score and its sums of weights; then each adds every 16th piece.
extern "C" __global__ void __launch_bounds__(512, 1) join_rows(
    const i64* heavy, const REAL* piece_y, const REAL* piece_positive_y, const REAL* piece_top,
    const REAL* piece_weight, const REAL* piece_positive, i64 n_heads, i64 d, i64 n_tiles, REAL* y,
    REAL* log_sum, REAL* positive_y, REAL* positive_weight
) {
    __shared__ REAL all_by_warp[16][33], up_by_warp[16][33];
    u32 item = blockIdx.x / (u32)n_tiles, at = item / (u32)n_heads;
    i64 head = item - at * (u32)n_heads, f = blockIdx.x % (u32)n_tiles * 32 + threadIdx.x % 32;
    i64 row = heavy[3 * at], first = heavy[3 * at + 1], last = heavy[3 * at + 2];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    REAL top = -(REAL)INFINITY, weight = 0, positive = 0, all = 0, up = 0;
    for (i64 piece = first + lane; piece < last; piece += 32)
        top = larger_of(top, piece_top[piece * n_heads + head]);
    top = warp_max(top);
    for (i64 piece = first + lane; piece < last; piece += 32) {
        REAL down = exp(piece_top[piece * n_heads + head] - top);
        weight += down * piece_weight[piece * n_heads + head];
        positive += down * piece_positive[piece * n_heads + head];
    }
    weight = warp_sum(weight);
    positive = warp_sum(positive);
    if (f < d) {
#pragma unroll 4
        for (i64 piece = first + warp; piece < last; piece += 16) {
            REAL down = exp(piece_top[piece * n_heads + head] - top);
            all += down * piece_y[(piece * n_heads + head) * d + f];
            up += down * piece_positive_y[(piece * n_heads + head) * d + f];
        }
    }
    all_by_warp[warp][lane] = all;
    up_by_warp[warp][lane] = up;
    __syncthreads();
    if (warp > 0) return;
    for (int w = 1; w < 16; ++w) {
        all += all_by_warp[w][lane];
        up += up_by_warp[w][lane];
    }
    if (f < d) {
        y[(row * n_heads + head) * d + f] = all / weight;
        positive_y[(row * n_heads + head) * d + f] = up / weight;
    }
    if (f > 0) return;
    log_sum[row * n_heads + head] = top + log(weight);
    positive_weight[row * n_heads + head] = positive / weight;
}

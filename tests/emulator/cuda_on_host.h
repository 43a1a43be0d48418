// CUDA C++ on the host: every thread of a block is a fiber, blocks run one after the other.
//
// A fiber runs until it waits for others (a barrier, a warp's exchange), so threads interleave only
// there: results of a correct kernel are right, and one that forgets a barrier usually fails. What
// does not show here are races (compute-sanitizer finds those on a GPU) and speed.
#pragma once
#define EMULATED 1

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <utility>
#include <vector>

using std::max;
using std::min;

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__

struct dim3 {
    unsigned x, y, z;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

#define VECTOR_TYPES(T, N)                                                             \
    struct alignas(2 * sizeof(T)) N##2 { T x, y; };                                    \
    struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) N##4 { T x, y, z, w; };    \
    inline N##2 make_##N##2(T x, T y) { return {x, y}; }                               \
    inline N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
VECTOR_TYPES(float, float)
VECTOR_TYPES(double, double)
VECTOR_TYPES(int, int)
VECTOR_TYPES(unsigned, uint)
VECTOR_TYPES(long long, longlong)

namespace emulator {

const int WARP = 32;
const size_t STACK_BYTES = 128 << 10;
static char* dynamic_shared = nullptr;

struct Exchange {  // a warp's collective on one mask, arriving and then leaving
    unsigned mask = 0, arrived = 0, left = 0;
    bool open = false;  // all have arrived
    unsigned long long slot[WARP];
};

struct Fiber {
    ucontext_t context;
    char* stack = nullptr;
    int thread = -1;
    bool busy = false;
};

static ucontext_t scheduler;
static std::vector<Fiber*> fibers;
static Fiber* running = nullptr;
static void (*body)() = nullptr;
static long progress = 0;  // changes whenever a thread gets on
static int next_thread, n_threads, n_done;
static int at_barrier;
static long barrier_round;
static long long barrier_sum, barrier_result;
static std::vector<Exchange> exchanges;  // per warp, four masks at a time
static char failure[256];

inline void fail(const char* what) {
    std::snprintf(failure, sizeof failure, "%s (block %u, thread %u)", what, blockIdx.x, threadIdx.x);
    std::fprintf(stderr, "emulator: %s\n", failure);
    std::abort();
}

inline void place(int thread) {
    threadIdx.x = thread % blockDim.x;
    threadIdx.y = thread / blockDim.x % blockDim.y;
    threadIdx.z = thread / blockDim.x / blockDim.y;
}

inline void yield() {
    Fiber* self = running;
    swapcontext(&self->context, &scheduler);
    running = self;
    place(self->thread);
}

inline void fiber_main() {
    while (true) {
        Fiber* self = running;
        while (next_thread < n_threads && self->thread < 0) {
            self->thread = next_thread++;
            place(self->thread);
            body();
            self = running;
            self->thread = -1;
            ++n_done;
            ++progress;
        }
        self->busy = false;
        swapcontext(&self->context, &scheduler);
        running = self;
    }
}

inline void resume(Fiber* fiber) {
    running = fiber;
    if (fiber->thread >= 0) place(fiber->thread);
    swapcontext(&scheduler, &fiber->context);
}

inline Fiber* new_fiber() {
    Fiber* fiber = new Fiber;
    fiber->stack = (char*)std::malloc(STACK_BYTES);
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, (void (*)())fiber_main, 0);
    fibers.push_back(fiber);
    return fiber;
}

inline void run_block() {
    next_thread = n_done = at_barrier = 0;
    barrier_sum = 0;
    n_threads = blockDim.x * blockDim.y * blockDim.z;
    exchanges.assign(4 * ((n_threads + WARP - 1) / WARP), Exchange());
    while (n_done < n_threads) {
        long before = progress;
        // Waiting threads first, then fresh ones, each on a fiber that is free.
        for (size_t f = 0; f < fibers.size(); ++f)
            if (fibers[f]->busy) resume(fibers[f]);
        while (next_thread < n_threads) {
            Fiber* free = nullptr;
            for (Fiber* fiber : fibers)
                if (!fiber->busy) { free = fiber; break; }
            if (!free) free = new_fiber();
            free->busy = true;
            free->thread = -1;
            ++progress;
            resume(free);
        }
        if (progress == before) fail("deadlock: threads wait for others that never come");
    }
}

// Waits for all threads of the block; returns the sum of what they brought.
inline long long barrier(long long brought) {
    long round = barrier_round;
    barrier_sum += brought;
    ++progress;
    if (++at_barrier == n_threads - 0) {
        at_barrier = 0;
        barrier_result = barrier_sum;
        barrier_sum = 0;
        ++barrier_round;
    } else {
        while (barrier_round == round) yield();
    }
    return barrier_result;
}

inline int lane() { return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % WARP; }

// Every lane of the mask brings 64 bits; returns all of them by lane.
template <typename F>
inline auto exchange(unsigned mask, unsigned long long brought, F read) {
    int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    int warp = thread / WARP, own = thread % WARP;
    int in_warp = std::min(WARP, n_threads - warp * WARP);
    if (in_warp < WARP) mask &= (1u << in_warp) - 1;
    if (!(mask >> own & 1)) fail("a lane joins an exchange whose mask lacks it");
    Exchange* e = nullptr;
    while (!e) {
        for (int k = 0; k < 4 && !e; ++k) {
            Exchange& c = exchanges[4 * warp + k];
            if (c.mask == mask && !c.open) e = &c;
        }
        bool same_leaving = false;
        for (int k = 0; k < 4 && !e; ++k) {
            Exchange& c = exchanges[4 * warp + k];
            if (c.mask == mask) same_leaving = true;
        }
        for (int k = 0; k < 4 && !e && !same_leaving; ++k) {
            Exchange& c = exchanges[4 * warp + k];
            if (c.mask == 0) { c.mask = mask; e = &c; }
        }
        if (!e) yield();
    }
    e->slot[own] = brought;
    e->arrived |= 1u << own;
    ++progress;
    if (e->arrived == mask) e->open = true;
    while (!e->open) yield();
    auto result = read(e->slot, mask);
    e->left |= 1u << own;
    if (e->left == mask) *e = Exchange();
    return result;
}

template <typename T>
inline unsigned long long to_bits(T value) {
    static_assert(sizeof(T) <= 8, "an exchange carries 64 bits");
    unsigned long long bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    return bits;
}

template <typename T>
inline T from_bits(unsigned long long bits) {
    T value;
    std::memcpy(&value, &bits, sizeof(T));
    return value;
}

template <typename T>
inline T shuffle(unsigned mask, T value, int from) {
    return exchange(mask, to_bits(value), [&](unsigned long long* slot, unsigned m) {
        return (m >> (from & 31) & 1) ? from_bits<T>(slot[from & 31]) : value;
    });
}

template <typename... A, size_t... I>
inline void call(void (*kernel)(A...), void** args, std::index_sequence<I...>) {
    static void (*k)(A...);
    static void** a;
    k = kernel;
    a = args;
    body = [] { k((*(typename std::remove_reference<A>::type*)a[I])...); };
    for (unsigned b = 0; b < gridDim.x; ++b) {
        blockIdx = {b, 0, 0};
        run_block();
    }
}

template <typename... A>
inline int launch(void (*kernel)(A...), unsigned blocks, unsigned threads, size_t shared, void** args,
                  int n_args, const int* sizes) {
    if (n_args != (int)sizeof...(A)) return 1000 + (int)sizeof...(A);
    const int expected[] = {(int)sizeof(A)..., 0};
    for (int i = 0; i < n_args; ++i)
        if (sizes[i] != expected[i]) return 1 + i;
    gridDim = {blocks, 1, 1};
    blockDim = {threads, 1, 1};
    dynamic_shared = (char*)std::aligned_alloc(64, (shared / 64 + 1) * 64);
    std::memset(dynamic_shared, 0xA5, shared);
    call(kernel, args, std::index_sequence_for<A...>());
    std::free(dynamic_shared);
    return 0;
}

}  // namespace emulator

inline void __syncthreads() { emulator::barrier(0); }
inline int __syncthreads_count(int p) { return (int)emulator::barrier(p != 0); }
inline int __syncthreads_or(int p) { return emulator::barrier(p != 0) != 0; }
inline int __syncthreads_and(int p) { return emulator::barrier(p == 0) == 0; }
inline void __syncwarp(unsigned mask = 0xffffffffu) {
    emulator::exchange(mask, 0, [](unsigned long long*, unsigned) { return 0; });
}
inline unsigned __ballot_sync(unsigned mask, int p) {
    return emulator::exchange(mask, p != 0, [](unsigned long long* slot, unsigned m) {
        unsigned votes = 0;
        for (int l = 0; l < 32; ++l)
            if (m >> l & 1 && slot[l]) votes |= 1u << l;
        return votes;
    });
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned v) {
    return emulator::exchange(mask, v, [](unsigned long long* slot, unsigned m) {
        unsigned all = 0;
        for (int l = 0; l < 32; ++l)
            if (m >> l & 1) all |= (unsigned)slot[l];
        return all;
    });
}
inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, !p) == 0; }
template <typename T>
inline unsigned __match_any_sync(unsigned mask, T value) {
    return emulator::exchange(mask, emulator::to_bits(value), [&](unsigned long long* slot, unsigned m) {
        unsigned same = 0;
        for (int l = 0; l < 32; ++l)
            if (m >> l & 1 && slot[l] == emulator::to_bits(value)) same |= 1u << l;
        return same;
    });
}
template <typename T>
inline T __shfl_sync(unsigned mask, T v, int from, int width = 32) {
    return emulator::shuffle(mask, v, (emulator::lane() & ~(width - 1)) + (from & (width - 1)));
}
template <typename T>
inline T __shfl_xor_sync(unsigned mask, T v, int with, int width = 32) {
    int own = emulator::lane(), other = own ^ with;
    return emulator::shuffle(mask, v, other / width == own / width || other < own ? other : own);
}
template <typename T>
inline T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32) {
    int own = emulator::lane();
    return emulator::shuffle(mask, v, (int)(own % width + by) < width ? own + (int)by : own);
}
template <typename T>
inline T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32) {
    int own = emulator::lane();
    return emulator::shuffle(mask, v, own % width >= (int)by ? own - (int)by : own);
}
inline unsigned __activemask() { return 0xffffffffu; }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __ffsll(long long v) { return __builtin_ffsll(v); }
inline int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
inline int __clzll(long long v) { return v ? __builtin_clzll((unsigned long long)v) : 64; }
inline unsigned __brev(unsigned v) {
    unsigned r = 0;
    for (int i = 0; i < 32; ++i) r |= (v >> i & 1) << (31 - i);
    return r;
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}
template <typename T> inline T __ldg(const T* p) { return *p; }
template <typename T> inline T __ldcs(const T* p) { return *p; }
template <typename T> inline T __ldcg(const T* p) { return *p; }
template <typename T> inline void __stcs(T* p, T v) { *p = v; }
template <typename T> inline void __stcg(T* p, T v) { *p = v; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline int __float_as_int(float v) { return emulator::from_bits<int>(emulator::to_bits(v)); }
inline float __int_as_float(int v) { return emulator::from_bits<float>(emulator::to_bits(v)); }
inline long long __double_as_longlong(double v) { return emulator::from_bits<long long>(emulator::to_bits(v)); }
inline double __longlong_as_double(long long v) { return emulator::from_bits<double>(emulator::to_bits(v)); }
#define ATOMIC(name, expression)                                  \
    template <typename T, typename U> inline T name(T* p, U v) {  \
        T old = *p;                                               \
        T given = (T)v;                                           \
        *p = (expression);                                        \
        return old;                                               \
    }
ATOMIC(atomicAdd, old + given)
ATOMIC(atomicSub, old - given)
ATOMIC(atomicOr, old | given)
ATOMIC(atomicAnd, old & given)
ATOMIC(atomicXor, old ^ given)
ATOMIC(atomicMin, given < old ? given : old)
ATOMIC(atomicMax, given > old ? given : old)
ATOMIC(atomicExch, given)
template <typename T, typename U, typename V> inline T atomicCAS(T* p, U compare, V v) {
    T old = *p;
    if (old == (T)compare) *p = (T)v;
    return old;
}

/*
 * The only user of <stdatomic.h>: the memory order is in the operation's name.
 *
 * Every ordered operation carries a tag in a comment, and the other side of the pairing carries
 * the same one:
 *     [ring.fill] release -> ring_take(): the cell stored above.
 * Relaxed operations need no tag. There are no fences: ThreadSanitizer cannot see them.
 * In tests/check another file stands in for this one, so that every operation is a step that any
 * other thread may come before.
 */
#ifndef SHL_BASE_ATOM_H
#define SHL_BASE_ATOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint32_t atom32;
typedef _Atomic uint64_t atom64;

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
               "atomics in shared memory must not use a process's private locks");
_Static_assert(sizeof(atom32) == 4 && sizeof(atom64) == 8, "atomics have a fixed width");

#define atom_load_relaxed(place) atomic_load_explicit(place, memory_order_relaxed)
#define atom_load_acquire(place) atomic_load_explicit(place, memory_order_acquire)
#define atom_store_relaxed(place, value) atomic_store_explicit(place, value, memory_order_relaxed)
#define atom_store_release(place, value) atomic_store_explicit(place, value, memory_order_release)
#define atom_load_seq_cst(place) atomic_load_explicit(place, memory_order_seq_cst)
#define atom_exchange_seq_cst(place, value) \
    atomic_exchange_explicit(place, value, memory_order_seq_cst)
#define atom_or_relaxed(place, bits) atomic_fetch_or_explicit(place, bits, memory_order_relaxed)
#define atom_and_relaxed(place, bits) atomic_fetch_and_explicit(place, bits, memory_order_relaxed)
#define atom_or_seq_cst(place, bits) atomic_fetch_or_explicit(place, bits, memory_order_seq_cst)
#define atom_add_seq_cst(place, value) atomic_fetch_add_explicit(place, value, memory_order_seq_cst)
#define atom_add_release(place, value) atomic_fetch_add_explicit(place, value, memory_order_release)
#define atom_sub_relaxed(place, value) atomic_fetch_sub_explicit(place, value, memory_order_relaxed)
#define atom_add_relaxed(place, value) atomic_fetch_add_explicit(place, value, memory_order_relaxed)

/* For pointers private to the process, which are read as plain ones everywhere else. */
#define atom_load_acquire_pointer(place) __atomic_load_n(place, __ATOMIC_ACQUIRE)
#define atom_store_release_pointer(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
/* True if *place was *expected; if not, *expected is what it was. */
#define atom_cas_acq_rel_pointer(place, expected, desired) \
    __atomic_compare_exchange_n(place, expected, desired, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

/* The compare-and-set family: true if *place was `expected` and is now `desired`. */
static inline bool atom_cas_acq_rel_32(atom32 *place, uint32_t expected, uint32_t desired)
{
    return atomic_compare_exchange_strong_explicit(place, &expected, desired, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

static inline bool atom_cas_acquire_32(atom32 *place, uint32_t expected, uint32_t desired)
{
    return atomic_compare_exchange_strong_explicit(place, &expected, desired, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline bool atom_cas_release_32(atom32 *place, uint32_t expected, uint32_t desired)
{
    return atomic_compare_exchange_strong_explicit(place, &expected, desired, memory_order_release,
                                                   memory_order_relaxed);
}

static inline bool atom_cas_seq_cst_32(atom32 *place, uint32_t expected, uint32_t desired)
{
    return atomic_compare_exchange_strong_explicit(place, &expected, desired, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

static inline bool atom_cas_relaxed_64(atom64 *place, uint64_t expected, uint64_t desired)
{
    return atomic_compare_exchange_strong_explicit(place, &expected, desired, memory_order_relaxed,
                                                   memory_order_relaxed);
}

static inline bool atom_cas_acquire_64(atom64 *place, uint64_t expected, uint64_t desired)
{
    return atomic_compare_exchange_strong_explicit(place, &expected, desired, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline bool atom_cas_release_64(atom64 *place, uint64_t expected, uint64_t desired)
{
    return atomic_compare_exchange_strong_explicit(place, &expected, desired, memory_order_release,
                                                   memory_order_relaxed);
}

static inline bool atom_cas_acq_rel_64(atom64 *place, uint64_t expected, uint64_t desired)
{
    return atomic_compare_exchange_strong_explicit(place, &expected, desired, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

static inline bool atom_cas_seq_cst_64(atom64 *place, uint64_t expected, uint64_t desired)
{
    return atomic_compare_exchange_strong_explicit(place, &expected, desired, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

/*
 * Two words side by side, 16-byte aligned: true if both were as expected and are now as desired.
 * Without libatomic, whose locks would be a process's private ones. On AArch64 it may fail for no
 * reason.
 */
static inline bool atom_cas_seq_cst_pair(atom64 *first, uint64_t expected, uint64_t expected_second,
                                         uint64_t desired, uint64_t desired_second)
{
#if defined(__aarch64__)
    uint64_t low, high;
    uint32_t failed = 1;
    __asm__ volatile("ldaxp %0, %1, [%3]\n\t"
                     "cmp %0, %4\n\t"
                     "ccmp %1, %5, #0, eq\n\t"
                     "b.ne 1f\n\t"
                     "stlxp %w2, %6, %7, [%3]\n"
                     "1:"
                     : "=&r"(low), "=&r"(high), "+&r"(failed)
                     : "r"(first), "r"(expected), "r"(expected_second), "r"(desired),
                       "r"(desired_second)
                     : "memory", "cc");
    return failed == 0;
#else
    __extension__ typedef unsigned __int128 pair __attribute__((may_alias));
    return __sync_bool_compare_and_swap((pair *)(void *)first,
                                        (pair)expected_second << 64 | expected,
                                        (pair)desired_second << 64 | desired);
#endif
}

/* Keeps the compiler, and only it, from moving accesses across: for what the kernel sees at a death
 * of this thread. */
#define atom_compiler_barrier() __asm__ volatile("" ::: "memory")

/* Tells the processor that this is a waiting loop. */
static inline void atom_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

#endif

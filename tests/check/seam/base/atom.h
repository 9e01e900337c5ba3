/*
 * Stands in for runtime/base/atom.h where the runtime is compiled to be checked: the same
 * operations, but each is a point at which any other thread may go on. See machine.h.
 */
#ifndef SHL_BASE_ATOM_H
#define SHL_BASE_ATOM_H

#include <stdbool.h>
#include <stdint.h>

/* Plain to the compiler: only one thread of the system runs. */
typedef uint32_t atom32;
typedef uint64_t atom64;

/* Where an access stands in the source, for people. */
struct spot {
    const char *place, *function;
};
#define SPOT(place) ((struct spot){ #place, __func__ })

enum change { CHANGE_SET, CHANGE_ADD, CHANGE_SUB, CHANGE_OR, CHANGE_AND };

uint64_t check_load(const void *place, unsigned size, struct spot spot);
/* May be delayed by the processor's store buffer, in scenarios that have one. */
void check_store(void *place, unsigned size, uint64_t value, struct spot spot);
/* Answers the old value; a full barrier, as on x86. */
uint64_t check_change(void *place, unsigned size, enum change change, uint64_t value,
                      struct spot spot);
bool check_cas(void *place, unsigned size, uint64_t expected, uint64_t desired, struct spot spot);

/* Two words side by side. */
bool check_cas_pair(uint64_t *first, uint64_t expected, uint64_t expected_second, uint64_t desired,
                    uint64_t desired_second, struct spot spot);

#define CHECK_LOAD(place) \
    ((__typeof__(*(place) + 0))check_load((const void *)(place), sizeof *(place), SPOT(place)))
#define CHECK_CHANGE(place, change, value) \
    ((__typeof__(*(place) + 0))check_change(place, sizeof *(place), change, value, SPOT(place)))

#define atom_load_relaxed(place) CHECK_LOAD(place)
#define atom_load_acquire(place) CHECK_LOAD(place)
#define atom_load_seq_cst(place) CHECK_LOAD(place)
#define atom_store_relaxed(place, value) check_store(place, sizeof *(place), value, SPOT(place))
#define atom_store_release(place, value) check_store(place, sizeof *(place), value, SPOT(place))
#define atom_exchange_seq_cst(place, value) CHECK_CHANGE(place, CHANGE_SET, value)
#define atom_add_seq_cst(place, value) CHECK_CHANGE(place, CHANGE_ADD, value)
#define atom_add_release(place, value) CHECK_CHANGE(place, CHANGE_ADD, value)
#define atom_add_relaxed(place, value) CHECK_CHANGE(place, CHANGE_ADD, value)
#define atom_sub_relaxed(place, value) CHECK_CHANGE(place, CHANGE_SUB, value)
#define atom_or_relaxed(place, bits) CHECK_CHANGE(place, CHANGE_OR, bits)
#define atom_or_seq_cst(place, bits) CHECK_CHANGE(place, CHANGE_OR, bits)
#define atom_and_relaxed(place, bits) CHECK_CHANGE(place, CHANGE_AND, bits)

#define CHECK_CAS(place, expected, desired) \
    check_cas(place, sizeof *(place), expected, desired, SPOT(place))
#define atom_cas_acq_rel_32(place, expected, desired) CHECK_CAS(place, expected, desired)
#define atom_cas_acquire_32(place, expected, desired) CHECK_CAS(place, expected, desired)
#define atom_cas_release_32(place, expected, desired) CHECK_CAS(place, expected, desired)
#define atom_cas_seq_cst_32(place, expected, desired) CHECK_CAS(place, expected, desired)
#define atom_cas_relaxed_64(place, expected, desired) CHECK_CAS(place, expected, desired)
#define atom_cas_acq_rel_64(place, expected, desired) CHECK_CAS(place, expected, desired)
#define atom_cas_acquire_64(place, expected, desired) CHECK_CAS(place, expected, desired)
#define atom_cas_release_64(place, expected, desired) CHECK_CAS(place, expected, desired)
#define atom_cas_seq_cst_64(place, expected, desired) CHECK_CAS(place, expected, desired)
#define atom_cas_seq_cst_pair(first, expected, expected_second, desired, desired_second) \
    check_cas_pair(first, expected, expected_second, desired, desired_second, SPOT(first))

/* Pointers are private to the process: no other thread sees them. */
#define atom_load_acquire_pointer(place) (*(place))
#define atom_store_release_pointer(place, value) (*(place) = (value))
#define atom_cas_acq_rel_pointer(place, expected, desired) \
    (*(place) == *(expected) ? (*(place) = (desired), true) : (*(expected) = *(place), false))

/* What nobody sees but the kernel, at a death. */
void check_private(void);
#define atom_compiler_barrier() check_private()

static inline void atom_pause(void)
{
}

#endif

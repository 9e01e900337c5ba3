/*
 * What the kernel does for a thread that dies: it marks the words of the robust mutexes that the
 * thread holds, and it wakes one sleeper at the word that the thread has named as pending. Nobody
 * else can do either in time.
 */
#ifndef SHL_OS_ROBUST_H
#define SHL_OS_ROBUST_H

#include <linux/futex.h>
#include <stddef.h>

#include "base/atom.h"
#include "base/attr.h"
#include "os/chaos.h"

extern SHL_HIDDEN _Thread_local struct robust_list_head *shl_robust_head SHL_TLS_FAST;

/* Finds the calling thread's list once; without one (or with it switched off) pending does
 * nothing. */
void shl_robust_begin(void);

/*
 * From here on, if the thread dies, the kernel wakes one sleeper at `bell`, a word that is always
 * 0. Answers what was named before, for shl_pending_clear(): calls nest.
 */
static inline struct robust_list *shl_pending_set(atom32 *bell)
{
    struct robust_list_head *head = shl_robust_head;
    if (unlikely(!head) || SHL_MISTAKE("robust.no_bell"))
        return NULL;
    struct robust_list *before = head->list_op_pending;
    atom_compiler_barrier();
    head->list_op_pending = (struct robust_list *)((char *)bell - head->futex_offset);
    atom_compiler_barrier();
    return before;
}

/* The bell that is pending now, or NULL. */
static inline atom32 *shl_pending(void)
{
    struct robust_list_head *head = shl_robust_head;
    if (!head || !head->list_op_pending)
        return NULL;
    return (atom32 *)((char *)head->list_op_pending + head->futex_offset);
}

static inline void shl_pending_clear(struct robust_list *before)
{
    struct robust_list_head *head = shl_robust_head;
    atom_compiler_barrier();
    if (likely(head))
        head->list_op_pending = before;
}

#endif

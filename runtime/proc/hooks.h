/* What is called when a process ends, or begins. */
#ifndef SHL_PROC_HOOKS_H
#define SHL_PROC_HOOKS_H

#include <stddef.h>
#include <stdint.h>

#include <shoal/hooks.h>

struct shl_finalizer {
    uint64_t ref;
    int priority;
    void (*run)(void *);
    void *argument;
};

/* In the table of children, as they are one process's likewise; in the order of their creation. */
struct shl_finalizers {
    struct shl_finalizer *list;
    size_t count, capacity;
};

/* Runs those of at least this priority, the higher first, of equal ones the latest. */
void shl_finalizers_run(int priority_min);

/* In a child that begins. */
void shl_hooks_run(void);

#endif

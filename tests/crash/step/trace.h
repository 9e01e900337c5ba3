/*
 * One traced process: run, single-stepped, run up to an instruction, killed. Every process here
 * marks with an int3 where its preparations and its operation end.
 */
#ifndef STEP_TRACE_H
#define STEP_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum trace_event {
    TRACE_STOPPED, /* at the next instruction, or where it was to be run to */
    TRACE_ASLEEP,  /* in a futex wait, and not stopped */
    TRACE_MARK,    /* at the next mark, behind it */
    TRACE_ENDED,   /* it is no more; reaped */
    TRACE_HUNG     /* nothing of these within the limit */
};

struct trace {
    pid_t pid;
    uint64_t instruction; /* the address of the next one; valid while stopped */
    uint64_t steps;       /* so many instructions were stepped over, */
    uint32_t syscalls;    /* and so many of them were system calls */
    bool harmless;        /* the last one cannot have changed what others can see */
    int status;           /* of waitpid(), the last one */
};

/* A trap, and behind it what the compiler never writes: other code may have the trap's byte inside
 * an instruction, or in front of a breakpoint. */
#define TRACE_HERE() __asm__ volatile("int3; .byte 0x0f, 0x1f, 0x40, 0x5a" ::: "memory")

void trace_init(void);

/* A child that has asked to be traced: up to its first mark. */
enum trace_event trace_begin(struct trace *trace, pid_t pid);

enum trace_event trace_step(struct trace *trace);

/* Runs on; to be waited for. */
void trace_resume(struct trace *trace);
enum trace_event trace_wait(struct trace *trace, bool until_asleep);

/* From here on it stops when it comes to that instruction; 0: no more. False if it cannot. */
bool trace_breakpoint(const struct trace *trace, uint64_t instruction);

/* Kills it wherever it is, and waits until the kernel has done what it does for the dead. */
void trace_kill(struct trace *trace);

/* What the kernel will read when it dies: the list of its robust mutexes, and what is pending. */
void trace_robust(const struct trace *trace, uint64_t ret_words[2]);
#endif

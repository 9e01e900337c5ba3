#include "trace.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../harness.h"

/* Ten ticks of the library's own seat belt: what has not happened by then never will. */
#define LIMIT_NS UINT64_C(10000000000)
#define GLANCE_NS 200000 /* between two looks at whether it sleeps */

#define DEBUG_REGISTER(number) offsetof(struct user, u_debugreg[number])

static sigset_t child_signal;

void trace_init(void)
{
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_signal, NULL);
}

/* Everybody here is forked from this process: code lies at the same address in all. */
static const uint8_t *code_at(uint64_t address)
{
    return (const uint8_t *)(uintptr_t)address;
}

static bool is_syscall(uint64_t address)
{
    return code_at(address)[0] == 0x0f && code_at(address)[1] == 0x05;
}

/* Of a string instruction that repeats itself every round would be a step. Answers its length. */
static unsigned repeated_length(uint64_t address)
{
    const uint8_t *code = code_at(address);
    const unsigned rex = code[0] == 0xf3 && code[1] == 0x48;
    const uint8_t operation = code[1 + rex];
    return code[0] == 0xf3 && (operation == 0xaa || operation == 0xab || operation == 0xa4 ||
                               operation == 0xa5)
               ? 2 + rex
               : 0;
}

/*
 * Does this instruction change nothing but registers and its own stack? Told of those of which a
 * walk consists; of all others it is not known. Prefixes do not matter to it.
 */
static bool is_harmless(uint64_t address)
{
    const uint8_t *code = code_at(address);
    while (*code == 0x66 || *code == 0xf2 || *code == 0xf3 || (*code & 0xf0) == 0x40)
        code++;
    const bool on_registers = code[1] >> 6 == 3;
    const unsigned extension = code[1] >> 3 & 7;
    switch (*code) {
    case 0x0f: /* jcc, cmov, movzx, movsx, nop */
        return (code[1] & 0xf0) == 0x80 || (code[1] & 0xf0) == 0x40 || (code[1] & 0xf6) == 0xb6 ||
               code[1] == 0x1f;
    case 0x83: /* of an immediate: cmp */
    case 0x81:
        return on_registers || extension == 7;
    case 0xf6: /* test */
    case 0xf7:
        return on_registers || extension == 0;
    case 0x89: /* mov, shifts */
    case 0xc1:
    case 0xd1:
    case 0xd3:
        return on_registers;
    case 0x63: /* movsxd, test, mov, lea */
    case 0x84:
    case 0x85:
    case 0x8a:
    case 0x8b:
    case 0x8d:
    case 0xa8:
    case 0xa9:
    case 0xc3: /* ret, call, jmp */
    case 0xe8:
    case 0xe9:
    case 0xeb:
        return true;
    }
    if (*code < 0x40) /* add, or, adc, sbb, and, sub, xor, cmp: to memory in the first two forms */
        return (*code & 7) < 6 && (on_registers || (*code & 7) > 1 || *code >= 0x38);
    return (*code & 0xf0) == 0x50 || (*code & 0xf0) == 0x70 || (*code & 0xf8) == 0xb8;
}

static bool is_mark(uint64_t address)
{
    static const uint8_t mark[] = { 0xcc, 0x0f, 0x1f, 0x40, 0x5a }; /* as TRACE_HERE() */
    return memcmp(code_at(address), mark, sizeof mark) == 0;
}

static bool is_in_futex_wait(pid_t pid)
{
    char path[64], line[128] = "";
    snprintf(path, sizeof path, "/proc/%d/syscall", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    const bool read = fgets(line, sizeof line, file);
    fclose(file);
    char *end = line;
    const long number = strtol(line, &end, 10);
    return read && end != line && (number == SYS_futex || number == SYS_futex_waitv);
}

/* After waitpid(): where it is. */
static enum trace_event stopped(struct trace *trace)
{
    if (!WIFSTOPPED(trace->status))
        return TRACE_ENDED;
    trace->instruction = (uint64_t)ptrace(PTRACE_PEEKUSER, trace->pid,
                                          offsetof(struct user, regs.rip), NULL);
    if (WSTOPSIG(trace->status) == SIGTRAP)
        return TRACE_STOPPED;
    const int signal_number = WSTOPSIG(trace->status); /* a fault, or abort() */
    trace_kill(trace);
    trace->status = signal_number;
    return TRACE_ENDED;
}

enum trace_event trace_wait(struct trace *trace, bool until_asleep)
{
    const uint64_t end_ns = harness_now_ns() + LIMIT_NS;
    const struct timespec glance = { .tv_nsec = GLANCE_NS };
    do {
        const bool asleep = until_asleep && is_in_futex_wait(trace->pid);
        const pid_t got = waitpid(trace->pid, &trace->status, WNOHANG);
        if (got < 0)
            return TRACE_ENDED;
        if (got > 0) {
            const enum trace_event event = stopped(trace);
            return event == TRACE_STOPPED && is_mark(trace->instruction - 1) ? TRACE_MARK : event;
        }
        if (asleep)
            return TRACE_ASLEEP;
        sigtimedwait(&child_signal, NULL, &glance);
    } while (harness_now_ns() < end_ns);
    return TRACE_HUNG;
}

enum trace_event trace_begin(struct trace *trace, pid_t pid)
{
    *trace = (struct trace){ .pid = pid };
    const enum trace_event event = trace_wait(trace, false);
    if (event == TRACE_MARK)
        ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL);
    return event;
}

enum trace_event trace_step(struct trace *trace)
{
    if (is_mark(trace->instruction)) { /* passed without a trap of its own */
        trace->instruction++;
        ptrace(PTRACE_POKEUSER, trace->pid, offsetof(struct user, regs.rip), trace->instruction);
        return TRACE_MARK;
    }
    const bool syscall = is_syscall(trace->instruction);
    const unsigned repeated = repeated_length(trace->instruction);
    if (repeated && trace_breakpoint(trace, trace->instruction + repeated))
        ptrace(PTRACE_CONT, trace->pid, NULL, NULL);
    else
        ptrace(PTRACE_SINGLESTEP, trace->pid, NULL, NULL);
    trace->steps++;
    trace->harmless = is_harmless(trace->instruction);
    trace->syscalls += syscall;
    if (syscall)
        return trace_wait(trace, true);
    waitpid(trace->pid, &trace->status, 0); /* nothing but a system call takes its time */
    if (repeated)
        trace_breakpoint(trace, 0);
    return stopped(trace);
}

void trace_resume(struct trace *trace)
{
    ptrace(PTRACE_CONT, trace->pid, NULL, NULL);
}

bool trace_breakpoint(const struct trace *trace, uint64_t instruction)
{
    return ptrace(PTRACE_POKEUSER, trace->pid, DEBUG_REGISTER(0), instruction) == 0 &&
           ptrace(PTRACE_POKEUSER, trace->pid, DEBUG_REGISTER(7), instruction != 0) == 0;
}

void trace_kill(struct trace *trace)
{
    if (trace->pid <= 0)
        return;
    kill(trace->pid, SIGKILL);
    while (waitpid(trace->pid, &trace->status, 0) > 0 && WIFSTOPPED(trace->status)) {}
}

/* The list's head lies in the thread's own memory: where ours lies, as it was forked from us. */
void trace_robust(const struct trace *trace, uint64_t ret_words[2])
{
    static struct robust_list_head *head;
    size_t size;
    if (!head)
        syscall(SYS_get_robust_list, 0, &head, &size);
    ret_words[0] = (uint64_t)ptrace(PTRACE_PEEKDATA, trace->pid, &head->list.next, NULL);
    ret_words[1] = (uint64_t)ptrace(PTRACE_PEEKDATA, trace->pid, &head->list_op_pending, NULL);
}

/*
 * What every test stands on: child processes with a time limit, memory to report through, and a
 * judge that fails a test which leaves processes, descriptors, mappings or files behind.
 *
 * In a forked child there is no cr_assert and no return from the test's body: a failing assertion
 * would jump into the runner's frame in the wrong process and hang the run. A child says what it
 * found by CHILD_CHECK(), by its exit code, or by a word in memory from harness_shared().
 * Threads report through variables; only the test's own main thread asserts.
 */
#ifndef SHOAL_TESTS_HARNESS_H
#define SHOAL_TESTS_HARNESS_H

#include <criterion/criterion.h>
#include <shoal.h>
#include <stdatomic.h>
#include <sys/types.h>

#define HARNESS_LIMIT_MS 30000 /* guards hangs only: nothing that works takes as long */
#define HARNESS_HUNG (-1000)   /* harness_wait(): it did not end and was killed */
#define HARNESS_LOST (-1001)   /* harness_wait(): somebody else took its status */

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HARNESS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HARNESS_SANITIZED 1
#endif
#endif
#ifndef HARNESS_SANITIZED
#define HARNESS_SANITIZED 0
#endif

/* --- every test runs inside the judge ------------------------------------------------------ */

/*
 * Criterion's own Test() with the judge around the body. It stands here, and not in .fini, because
 * an assertion or a crash in .fini is only a warning: the test passes all the same.
 */
#undef Test
#define Test(suite, name, ...)                                        \
    static void suite##_##name##_body(void);                          \
    CR_EXPAND(CR_TEST_BASE(suite, name, __VA_ARGS__, .sentinel_ = 0)) \
    {                                                                 \
        harness_run(suite##_##name##_body);                           \
    }                                                                 \
    static void suite##_##name##_body(void)

void harness_run(void (*body)(void));

/* What there was before: to be compared with what there is afterwards. */
struct harness_baseline {
    struct {
        dev_t device;
        ino_t inode; /* 0: not open */
    } fds[512];
    ino_t segments[32]; /* of the mapped memory files of this library */
    unsigned segments_count;
    char *shm_names; /* of /dev/shm, each between two slashes */
};

enum harness_leak {
    HARNESS_LEAK_PROCESS = 1,
    HARNESS_LEAK_FD = 2,
    HARNESS_LEAK_MAPPING = 4,
    HARNESS_LEAK_FILE = 8
};

void harness_baseline_take(struct harness_baseline *baseline);

/*
 * A set of enum harness_leak, told in @text as well; child processes that were left are killed.
 * The family's own segment is never unmapped: its descriptor and its mapping are no leak, nor is
 * the one lifeline pipe of a process that started others.
 */
unsigned harness_leaks(struct harness_baseline *baseline, char *text, size_t text_size);

/* --- children ------------------------------------------------------------------------------- */

#define HARNESS_SKIPPED 77 /* a test's exit status under an emulator, see tests/aarch64 */

/* A child by plain fork; it ends with _exit(function(argument)) and dies with its creator. An
 * emulator knows nothing of what a child has of its own: there the test ends, as skipped. */
pid_t harness_child(int (*function)(void *argument), void *argument);

/* Its exit code, or minus the signal that ended it; HARNESS_HUNG after the limit. Reaps. */
int harness_wait(pid_t pid);
int harness_wait_ms(pid_t pid, int limit_ms);

/* Its state's letter in /proc, T for stopped and so on; 0 if there is no such process. */
char harness_state(pid_t pid);

/* True once no such process exists, or only as a zombie of another parent; bounded. */
bool harness_gone(pid_t pid);

/* For harness_child(): waits to be killed. */
int harness_pauses(void *argument);

/* The path of a program that lies beside this test program. */
const char *harness_program(const char *name);

/* Zeroed memory shared with children forked later. */
void *harness_shared(size_t size);

/* In a child: a condition that must hold, else the process ends with 99 and says where. */
#define CHILD_CHECK(condition) \
    ((condition) ? (void)0 : harness_child_failed(__FILE__, __LINE__, #condition))
#define HARNESS_CHILD_FAILED 99
_Noreturn void harness_child_failed(const char *file, int line, const char *condition);

/* shoal_init() as if from main(): children that are exec'd come to the harness's own call of it
 * before main(). */
int harness_init(const shoal_init_options *options);

/* --- waiting -------------------------------------------------------------------------------- */

uint64_t harness_now_ns(void);
shoal_deadline harness_deadline(void); /* now and HARNESS_LIMIT_MS */

struct harness_poll {
    unsigned limit_ms;
    uint64_t end_ns;
    unsigned rounds;
};
bool harness_poll_again(struct harness_poll *poll);

/* Until an instant drawn from the next so many nanoseconds: for kills and stops anywhere. */
void harness_wait_at_random(uint64_t *state, uint64_t ns_max);

/* Polls until the condition holds; false if it did not within the limit. */
#define harness_until_ms(condition, limit)                              \
    __extension__({                                                     \
        struct harness_poll poll_ = { .limit_ms = (limit) };            \
        bool held_;                                                     \
        while (!(held_ = (condition)) && harness_poll_again(&poll_)) {} \
        held_;                                                          \
    })
#define harness_until(condition) harness_until_ms(condition, HARNESS_LIMIT_MS)

/* Without the lines that the leak checker writes of its own accord at the end of a fork. */
void harness_drop_remarks(char *text);

/* --- judging -------------------------------------------------------------------------------- */

/* The call answers this code; both are told in words if not. */
#define assert_code(call, expected)                                                                \
    do {                                                                                           \
        const int got_ = (call);                                                                   \
        cr_assert(got_ == (expected), "%s answers %d (%s), not %d; last message: %s", #call, got_, \
                  shoal_strerror(got_), (expected), shoal_error_message());                        \
    } while (0)

/* Queues with room for so many: of values, and of payloads. */
static inline shoal_queue values_of(size_t value_size, size_t capacity_count)
{
    shoal_queue queue = { 0 };
    const shoal_queue_options options = { .capacity_count = capacity_count,
                                          .value_size = value_size };
    assert_code(shoal_queue_create(&options, &queue), 0);
    cr_assert_not(SHOAL_IS_NONE(queue));
    return queue;
}

static inline shoal_queue queue_of(size_t capacity_count)
{
    return values_of(0, capacity_count);
}

bool harness_code_listed(int code); /* 0 or one of the closed list, negative */

unsigned harness_segments_count(void); /* mapped segments, by their memory files */
unsigned harness_fds_count(void);

/* --- random numbers ------------------------------------------------------------------------- */

/* From SHOAL_TEST_SEED, or drawn; printed with the test's name so that a run can be repeated. */
uint64_t harness_seed(const char *test);
uint64_t harness_random(uint64_t *state);

/* How long a random test shall take: from SHOAL_TEST_SECONDS, or so long. */
double harness_seconds(double otherwise);

#endif

/* Derived processes: spec 1.9, and 1.3.5. */
#include "proc/children.h"

#include <errno.h>
#include <stdio.h>

TestSuite(types, .timeout = 90);

struct state {
    int given, runs;
    pid_t pid;
    shoal_process self;
    shoal_queue words[2];
};

static void runs(shoal_process self, void *argument)
{
    struct state *state = argument;
    state->runs += state->given;
    state->pid = getpid();
    state->self = self;
}

static const shoal_process_type worker = { .name = "Worker",
                                           .run = runs,
                                           .state_size = sizeof(struct state) };

static shoal_process create(enum shoal_start_method method)
{
    const int given = 1;
    shoal_process process = { 0 };
    const shoal_process_options options = { .type = &worker,
                                            .start_method = method,
                                            SHOAL_COPY_OF(given) };
    assert_code(shoal_process_create(&options, &process), 0);
    return process;
}

/* 1.9.1, 1.9.2, 1.3.5: Worker-2 is the second process that was described. */
Test(types, run_gets_itself_and_its_state_1_9_1, .timeout = 90)
{
    assert_code(harness_init(NULL), 0);
    child_ends(child_start(target_nothing, NULL, 0), 0);
    for (int method = SHOAL_START_FORK; method <= SHOAL_START_FORKSERVER; method++) {
        char name[16], text[256], described[256];
        const shoal_process process = create((enum shoal_start_method)method);
        const struct state *state = shoal_process_argument(process);
        snprintf(name, sizeof name, "Worker-%d", method + 1);
        cr_assert_str_eq(shoal_process_name(process), name);
        assert_code(shoal_process_start(process), 0);
        assert_code(shoal_process_join(process, harness_deadline()), 0);
        cr_assert_eq(state->runs, 1);
        cr_assert_eq(state->pid, shoal_process_pid(process));
        cr_assert(SHOAL_SAME(state->self, process));
        snprintf(described, sizeof described,
                 "<Worker name='%s' pid=%d parent=%d stopped exitcode=0>", name, state->pid,
                 getpid());
        shoal_process_describe(process, text, sizeof text);
        cr_assert_str_eq(text, described);
        child_ends(process, 0);
    }
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

static void adds(void *argument)
{
    ++**(int **)argument;
}

Test(types, run_in_the_caller_makes_no_process_1_9_3, .timeout = 90)
{
    const shoal_process process = create(SHOAL_START_FORK);
    const struct state *state = shoal_process_argument(process);
    assert_code(shoal_process_run(process), 0);
    assert_code(shoal_process_run(process), 0);
    cr_assert_eq(state->runs, 2);
    cr_assert_eq(state->pid, getpid());
    cr_assert_eq(shoal_process_pid(process), 0);
    assert_code(shoal_process_close(process), 0);
    assert_code(shoal_process_run(process), -ESTALE);
    int count = 0, *counter = &count;
    shoal_process plain = { 0 };
    const shoal_process_options options = { .target = adds, SHOAL_COPY_OF(counter) };
    assert_code(shoal_process_create(&options, &plain), 0);
    assert_code(shoal_process_run(plain), 0);
    cr_assert_eq(count, 1);
    assert_code(shoal_process_close(plain), 0);
}

static void shouts(shoal_process self, void *argument)
{
    const struct state *state = argument;
    void *payload;
    (void)self;
    while (shoal_queue_get(state->words[0], &payload, harness_deadline()) == 0) {
        for (char *c = payload; *c; c++)
            *c = (char)(*c - 'a' + 'A');
        CHILD_CHECK(shoal_queue_put(state->words[1], payload, harness_deadline()) == 0);
    }
}

/* 1.9.4: over queues that are its members. */
Test(types, submit_hello_answers_in_capitals_1_9_4, .timeout = 90)
{
    assert_code(harness_init(NULL), 0);
    static const shoal_process_type type = { .name = "Shouter",
                                             .run = shouts,
                                             .state_size = sizeof(struct state) };
    for (int method = SHOAL_START_FORK; method <= SHOAL_START_FORKSERVER; method++) {
        shoal_process process = { 0 };
        const struct state state = { .words = { queue_of(4), queue_of(4) } };
        const shoal_process_options options = { .type = &type,
                                                .start_method = (enum shoal_start_method)method,
                                                SHOAL_COPY_OF(state) };
        assert_code(shoal_process_start_new(&options, &process), 0);
        void *word = shoal_calloc(1, 8);
        memcpy(word, "hello", 5);
        assert_code(shoal_queue_put(state.words[0], word, harness_deadline()), 0);
        assert_code(shoal_queue_get(state.words[1], &word, harness_deadline()), 0);
        cr_assert_str_eq((char *)word, "HELLO");
        shoal_free(word);
        shoal_queue_shutdown(state.words[0]);
        child_ends(process, 0);
        assert_code(shoal_queue_destroy(state.words[0]), 0);
        assert_code(shoal_queue_destroy(state.words[1]), 0);
    }
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

/* 1.9.4: what is not whole is refused. */
Test(types, incomplete_types_are_refused_1_9_4, .timeout = 90)
{
    static const char longest[] = "12345678901234567890123456789012";
    enum { TOO_LARGE = SHOAL_PROCESS_ARGUMENT_MAX + 1 };
    static const struct {
        shoal_process_type type;
        int code;
    } wrong[] = {
        { { .name = "Worker", .state_size = 64 }, -EINVAL },
        { { .run = runs, .state_size = 64 }, -EINVAL },
        { { .name = "", .run = runs, .state_size = 64 }, -EINVAL },
        { { .name = "Worker", .run = runs, .state_size = 64, .reserved = { 1 } }, -EINVAL },
        { { .name = "Worker", .run = runs }, -EMSGSIZE }, /* less than its argument */
        { { .name = longest, .run = runs, .state_size = 64 }, -EMSGSIZE },
        { { .name = "Worker", .run = runs, .state_size = TOO_LARGE }, -EMSGSIZE },
    };
    const int number = 1;
    shoal_process process;
    shoal_process_options options = { SHOAL_COPY_OF(number) };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        options.type = &wrong[i].type;
        assert_code(shoal_process_create(&options, &process), wrong[i].code);
    }
    options.type = &worker;
    options.target = target_nothing;
    assert_code(shoal_process_create(&options, &process), -EINVAL);
}

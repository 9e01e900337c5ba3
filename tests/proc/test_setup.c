/* What a child has otherwise than its start method gives it: spec 2.10, for each method. */
#include "proc/children.h"

#include "mem/self.h"
#include "proc/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

TestSuite(setup, .timeout = 90);

static const enum shoal_start_method methods[] = { SHOAL_START_FORK, SHOAL_START_SPAWN,
                                                   SHOAL_START_FORKSERVER };

/* In the family's memory, which lies at one address. */
struct seen {
    char variable[32], home[32], directory[32];
    int niceness, processors;
    unsigned first;
    uint64_t files, files_hard;
};

static void copy_variable(const char *name, char *ret_text)
{
    const char *value = getenv(name);
    snprintf(ret_text, 32, "%s", value ? value : "none");
}

static void looks_around(void *argument)
{
    struct seen *seen = *(struct seen **)argument;
    struct rlimit limit;
    cpu_set_t set;
    copy_variable("SETUP_TEST", seen->variable);
    copy_variable("HOME", seen->home);
    CHILD_CHECK(getcwd(seen->directory, sizeof seen->directory));
    CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHILD_CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    seen->niceness = getpriority(PRIO_PROCESS, 0);
    seen->processors = CPU_COUNT(&set);
    while (!CPU_ISSET(seen->first, &set))
        seen->first++;
    seen->files = limit.rlim_cur;
    seen->files_hard = limit.rlim_max;
}

static int start_with(const shoal_process_setup *setup, enum shoal_start_method method,
                      struct seen *seen, shoal_process *ret_process)
{
    const shoal_process_options options = {
        .target = looks_around, .start_method = method, SHOAL_COPY_OF(seen), .setup = setup
    };
    return shoal_process_start_new(&options, ret_process);
}

static unsigned a_processor(void)
{
    cpu_set_t set;
    unsigned last = 1023;
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    while (!CPU_ISSET(last, &set))
        last--;
    return last;
}

/* A directory whose cgroup.procs is a file of ours: what is written there can be read. */
static void make_cgroup(char *directory)
{
    char path[64];
    cr_assert(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/cgroup.procs", directory);
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
}

static bool was_joined(const char *directory)
{
    char path[64], text[8] = "";
    snprintf(path, sizeof path, "%s/cgroup.procs", directory);
    FILE *file = fopen(path, "re");
    cr_assert(file);
    const bool zero = fgets(text, sizeof text, file) && strcmp(text, "0") == 0;
    fclose(file);
    unlink(path);
    rmdir(directory);
    return zero;
}

/* 2.10: everything at once; strings and arrays are the child's own by then. */
Test(setup, child_has_what_its_setup_says_2_10, .timeout = 90)
{
    assert_code(harness_init(NULL), 0);
    struct seen *seen = shoal_alloc(sizeof *seen);
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        char cgroup[] = "/tmp/shoal-setup-XXXXXX", variable[] = "SETUP_TEST=some value";
        const char *environment[] = { variable, "EMPTY=", NULL };
        unsigned processor = a_processor();
        shoal_process_limit limit = { RLIMIT_NOFILE, 77, 88 };
        const shoal_process_setup setup = { .environment = environment,
                                            .directory = "/proc",
                                            .cgroup = cgroup,
                                            .processors = &processor,
                                            .processors_count = 1,
                                            .limits = &limit,
                                            .limits_count = 1,
                                            .niceness = 3 };
        shoal_process process = { 0 };
        const shoal_process_options options = {
            .target = looks_around, .start_method = methods[i], SHOAL_COPY_OF(seen), .setup = &setup
        };
        *seen = (struct seen){ 0 };
        make_cgroup(cgroup);
        assert_code(shoal_process_create(&options, &process), 0);
        memset(variable, 'x', sizeof variable);
        limit = (shoal_process_limit){ 0 };
        const unsigned chosen = processor;
        processor = 1000;
        assert_code(shoal_process_start(process), 0);
        child_ends(process, 0);
        cr_assert_str_eq(seen->variable, "some value");
        cr_assert_str_eq(seen->home, "none");
        cr_assert_str_eq(seen->directory, "/proc");
        cr_assert_eq(seen->niceness, getpriority(PRIO_PROCESS, 0) + 3);
        cr_assert(seen->processors == 1 && seen->first == chosen);
        cr_assert(seen->files == 77 && seen->files_hard == 88);
        cr_assert(was_joined(cgroup));
    }
    shoal_free(seen);
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

/* Nothing is changed in the creator, nor in the server and in who comes after it. */
Test(setup, child_without_one_is_as_ever_2_10, .timeout = 90)
{
    assert_code(harness_init(NULL), 0);
    setenv("SETUP_TEST", "inherited", 1);
    struct seen *seen = shoal_calloc(2, sizeof *seen), *here = seen + 1;
    struct seen *const *const argument = &here;
    looks_around((void *)argument);
    const char *none[] = { NULL };
    const shoal_process_setup empty = { .environment = none, .directory = "/proc", .niceness = 1 };
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        shoal_process process = { 0 };
        assert_code(start_with(&empty, methods[i], seen, &process), 0);
        child_ends(process, 0);
        cr_assert_str_eq(seen->variable, "none");
        const shoal_process_setup nothing = { 0 };
        *seen = (struct seen){ 0 };
        assert_code(start_with(&nothing, methods[i], seen, &process), 0);
        child_ends(process, 0);
        cr_assert_eq(memcmp(seen, here, sizeof *seen), 0, "method %d", methods[i]);
    }
    shoal_free(seen);
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

/* What is refused fails the start, in the parent, and says what; nothing is left. */
Test(setup, setup_that_cannot_be_had_fails_the_start_1_1_4, .timeout = 90)
{
    static const unsigned absent = 1023;
    static const shoal_process_limit senseless = { RLIMIT_NOFILE, 8, 7 };
    static const struct {
        shoal_process_setup setup;
        int code;
        const char *word;
    } bad[] = {
        { { .directory = "/proc/nowhere" }, -ENOENT, "directory" },
        { { .cgroup = "/proc/nowhere" }, -ENOENT, "cgroup" },
        { { .processors = &absent, .processors_count = 1 }, -EINVAL, "processors" },
        { { .limits = &senseless, .limits_count = 1 }, -EINVAL, "limits" },
    };
    assert_code(harness_init(&(shoal_init_options){ .no_ready_child = true }), 0);
    shoal_process process;
    struct seen *seen = shoal_alloc(sizeof *seen);
    child_ends(child_start(target_nothing, NULL, 0), 0); /* the server is there */
    const uint64_t used = memory_used();
    const unsigned fds = harness_fds_count();
    for (size_t i = 0; i < COUNT_OF(methods) * COUNT_OF(bad); i++) {
        const size_t k = i / COUNT_OF(methods);
        if (bad[k].setup.processors && sysconf(_SC_NPROCESSORS_CONF) > (long)absent)
            continue; /* a large machine */
        assert_code(start_with(&bad[k].setup, methods[i % COUNT_OF(methods)], seen, &process),
                    bad[k].code);
        cr_assert(strstr(shoal_error_message(), bad[k].word), "%s", shoal_error_message());
        shl_peer_recover_all(shl_segment_family());
        cr_assert_eq(memory_used(), used, "%s", bad[k].word);
        cr_assert_eq(harness_fds_count(), fds, "%s", bad[k].word);
        cr_assert_eq(waitpid(-1, NULL, WNOHANG | __WALL), 0); /* the server alone: nobody ended */
    }
    shoal_free(seen);
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

/* In the family's memory. */
struct again {
    _Atomic int go;
    _Atomic uint32_t slot; /* of the child's process */
};

static void tells_its_slot(void *argument)
{
    struct again *again = *(struct again **)argument;
    again->slot = shl_self(shl_segment_family())->process_owner;
    CHILD_CHECK(harness_until(again->go));
}

/* Of the child whose start failed nothing is left in the process: neither its time nor its slot. */
Test(setup, refused_start_can_be_done_again, .timeout = 90)
{
    char directory[] = "/tmp/shoal-test-XXXXXX";
    struct shl_segment *segment;
    shoal_process process;
    assert_code(harness_init(NULL), 0);
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        struct again *again = shoal_calloc(1, sizeof *again);
        strcpy(directory, "/tmp/shoal-test-XXXXXX");
        cr_assert(mkdtemp(directory));
        const shoal_process_setup setup = { .directory = directory };
        const shoal_process_options options = { .target = tells_its_slot,
                                                .start_method = methods[i],
                                                .outlives_parent = true,
                                                .setup = &setup,
                                                SHOAL_COPY_OF(again) };
        assert_code(shoal_process_create(&options, &process), 0);
        cr_assert_eq(rmdir(directory), 0);
        assert_code(shoal_process_start(process), -ENOENT);
        cr_assert_eq(mkdir(directory, 0700), 0);
        assert_code(shoal_process_start(process), 0);
        cr_assert(harness_until(again->slot));
        cr_expect(shoal_process_is_alive(process), "method %zu", i);
        cr_expect_eq(atom_load_relaxed(&shl_process_find(process, &segment)->owners) >> 32,
                     again->slot);
        again->go = 1;
        assert_code(shoal_process_join(process, harness_deadline()), 0);
        assert_code(shoal_process_close(process), 0);
        cr_assert_eq(rmdir(directory), 0);
        shoal_free(again);
    }
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

Test(setup, absurd_setups_are_refused_at_once, .timeout = 90)
{
    static const unsigned much = 1024;
    static const char *const argv[] = { NULL };
    static const shoal_process_setup bad[] = {
        { .processors = &much, .processors_count = 1 },
        { .processors_count = 1 },
        { .limits_count = 1 },
        { .executable = "/bin/true" },
        { .argv = argv },
        { .reserved = { 0, 1 } },
    };
    shoal_process process;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_code(start_with(&bad[i], SHOAL_START_FORK, NULL, &process), -EINVAL);
}

/* --- another program ------------------------------------------------------------------------- */

static void found_by_its_name(void *argument)
{
    (void)argument;
    exit(1); /* the other program has another function of that name */
}

/* 2.10: the executable and its arguments; those of no use end or cannot be run. */
Test(setup, another_program_runs_the_target_2_10, .timeout = 90)
{
    static const char *const argv[] = { "start_helper", "registers", "seven", NULL };
    assert_code(harness_init(NULL), 0);
    assert_code(shoal_register("registered here and there", found_by_its_name), 0);
    shoal_process_setup setup = { .executable = harness_program("start_helper"), .argv = argv };
    const shoal_process_options options = { .target = found_by_its_name,
                                            .start_method = SHOAL_START_SPAWN,
                                            .setup = &setup };
    shoal_process process = { 0 };
    assert_code(shoal_process_start_new(&options, &process), 0);
    child_ends(process, (int)strlen("seven"));
    setup.executable = "/bin/true";
    assert_code(shoal_process_start_new(&options, &process), -EIO);
    setup.executable = "/proc/nowhere";
    assert_code(shoal_process_start_new(&options, &process), -ENOENT);
}

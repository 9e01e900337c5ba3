/* The log: spec 1.8. */
#include "proc/children.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

TestSuite(log, .timeout = 90);

static const enum shoal_start_method methods[] = { SHOAL_START_FORK, SHOAL_START_SPAWN,
                                                   SHOAL_START_FORKSERVER };

struct program {
    int file; /* its stdout and stderr */
    enum shoal_start_method method;
    int level;
};

static char *text_of(int file)
{
    static char text[1 << 20];
    const ssize_t size = pread(file, text, sizeof text - 1, 0);
    cr_assert_geq(size, 0);
    text[size] = 0;
    harness_drop_remarks(text);
    return text;
}

/* What a program says, of which only a fork of this process is made. */
static const char *said_by(int (*main)(void *program), struct program program)
{
    program.file = memfd_create("output", MFD_CLOEXEC);
    cr_assert_geq(program.file, 0);
    cr_assert_eq(fcntl(program.file, F_SETFL, O_APPEND), 0);
    cr_assert_eq(harness_wait(harness_child(main, &program)), 0);
    const char *text = text_of(program.file);
    close(program.file);
    return text;
}

static void begins(const struct program *program)
{
    CHILD_CHECK(dup2(program->file, STDOUT_FILENO) >= 0);
    CHILD_CHECK(dup2(program->file, STDERR_FILENO) >= 0);
    CHILD_CHECK(harness_init(&(shoal_init_options){ .start_method = program->method }) == 0);
}

static void does_some_work(void *argument)
{
    (void)argument;
    printf("Doing some work\n");
    fflush(stdout);
}

static void starts_one(void (*target)(void *argument))
{
    const shoal_process_options options = { .target = target };
    shoal_process process = { 0 };
    CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
    CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
}

/* --- the transcripts ------------------------------------------------------------------------ */

static int debugs(void *program)
{
    begins(program);
    CHILD_CHECK(shoal_log_to_stderr(SHOAL_LOG_DEBUG) == 0);
    starts_one(does_some_work);
    exit(0);
}

/* 1.8.2, 1.8.3, 1.8.9 */
Test(log, debug_tells_all_that_happens_1_8_3, .timeout = 90)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        cr_assert_str_eq(
            said_by(debugs, (struct program){ .method = methods[i] }),
            "[INFO/Process-1] child process calling self.run()\n"
            "Doing some work\n"
            "[INFO/Process-1] process exiting with exitcode 0\n"
            "[INFO/Process-1] process shutting down\n"
            "[DEBUG/Process-1] running all \"atexit\" finalizers with priority >= 0\n"
            "[DEBUG/Process-1] running the remaining \"atexit\" finalizers\n"
            "[INFO/MainProcess] process shutting down\n"
            "[DEBUG/MainProcess] running all \"atexit\" finalizers with priority >= 0\n"
            "[DEBUG/MainProcess] running the remaining \"atexit\" finalizers\n");
}

static const char informed[] = "[INFO/Process-1] child process calling self.run()\n"
                               "Doing some work\n"
                               "[INFO/Process-1] process exiting with exitcode 0\n"
                               "[INFO/Process-1] process shutting down\n"
                               "[INFO/MainProcess] process shutting down\n";

static int informs(void *program)
{
    begins(program);
    CHILD_CHECK(shoal_log_to_stderr(SHOAL_LOG_NOTSET) == 0);
    CHILD_CHECK(shoal_log_set_level(SHOAL_LOG_INFO) == 0);
    starts_one(does_some_work);
    exit(0);
}

Test(log, info_tells_four_things_1_8_4, .timeout = 90)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        cr_assert_str_eq(said_by(informs, (struct program){ .method = methods[i] }), informed);
}

static int says_nothing(void *program)
{
    begins(program);
    starts_one(target_nothing);
    CHILD_CHECK(shoal_log_set_level(SHOAL_LOG_DEBUG) == 0);
    starts_one(target_nothing);
    CHILD_CHECK(shoal_log_to_stderr(SHOAL_LOG_NOTSET) == 0);
    CHILD_CHECK(shoal_log_set_level(SHOAL_LOG_NOTSET) == 0); /* stands for WARNING */
    starts_one(target_nothing);
    SHOAL_LOG(SHOAL_LOG_WARNING - 1, "not told");
    exit(0);
}

Test(log, nothing_is_told_that_nobody_asked_for_1_8_1, .timeout = 90)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        cr_assert_str_eq(said_by(says_nothing, (struct program){ .method = methods[i] }), "");
}

/* --- by the environment, and by inheritance ------------------------------------------------- */

static int is_asked_by_the_environment(void *argument)
{
    const struct program *program = argument;
    char number[16];
    snprintf(number, sizeof number, "%d", program->level);
    setenv("SHOAL_LOG", program->level < 0 ? "LOUD" : program->level ? number : "INFO", 1);
    begins(program);
    starts_one(does_some_work);
    exit(0);
}

/* 1.8.7 */
Test(log, environment_asks_by_name_or_number_1_8_7, .timeout = 90)
{
    cr_assert_str_eq(said_by(is_asked_by_the_environment, (struct program){ 0 }), informed);
    cr_assert_str_eq(
        said_by(is_asked_by_the_environment, (struct program){ .level = SHOAL_LOG_INFO }),
        informed);
    cr_assert_str_eq(
        said_by(is_asked_by_the_environment, (struct program){ .level = SHOAL_LOG_WARNING }),
        "Doing some work\n");
    cr_assert_str_eq(said_by(is_asked_by_the_environment, (struct program){ .level = -1 }),
                     "[WARNING/MainProcess] SHOAL_LOG=LOUD is no level\nDoing some work\n");
}

static void tells_at_31_and_32(void *argument)
{
    (void)argument;
    SHOAL_LOG(31, "too little");
    SHOAL_LOG(32, "enough");
}

static int sets_level_32(void *argument)
{
    begins(argument);
    CHILD_CHECK(shoal_log_to_stderr(32) == 0);
    starts_one(tells_at_31_and_32);
    exit(0);
}

Test(log, children_have_the_level_of_their_creator_1_8_6, .timeout = 90)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        cr_assert_str_eq(said_by(sets_level_32, (struct program){ .method = methods[i] }),
                         "[Level 32/Process-1] enough\n");
}

static void prints_record(const shoal_log_record *record, void *context)
{
    char line[128];
    const int length = snprintf(line, sizeof line, "%s %s\n", (char *)context, record->text);
    CHILD_CHECK(record->pid == getpid());
    CHILD_CHECK(write(STDERR_FILENO, line, (size_t)length) == length);
}

static int sets_handler(void *argument)
{
    begins(argument);
    char context[] = "it says:";
    CHILD_CHECK(shoal_log_set_handler(prints_record, context) == 0);
    starts_one(tells_at_31_and_32);
    CHILD_CHECK(shoal_log_set_handler(NULL, NULL) == 0);
    SHOAL_LOG(99, "to nobody");
    exit(0);
}

/* By exec it cannot be had: its context is private. */
Test(log, forked_children_have_the_handler_of_their_creator_1_8_6, .timeout = 90)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        cr_assert_str_eq(said_by(sets_handler, (struct program){ .method = methods[i] }),
                         i == 0 ? "it says: too little\nit says: enough\n" : "");
}

static void tells(const char *text)
{
    CHILD_CHECK(write(STDERR_FILENO, text, strlen(text)) == (ssize_t)strlen(text));
}

static void tells_level(const shoal_log_record *record, void *context)
{
    CHILD_CHECK(context == NULL && record->pid == getpid());
    tells(record->level == 31 ? "31\n" : "32\n");
}

static int sets_handlers_that_can_be_told(void *argument)
{
    begins(argument);
    char *context = shoal_alloc(16);
    strcpy(context, "it says:");
    CHILD_CHECK(shoal_log_set_handler(prints_record, context) == 0);
    starts_one(tells_at_31_and_32);
    CHILD_CHECK(shoal_log_set_handler(tells_level, NULL) == 0);
    CHILD_CHECK(shoal_log_set_level(32) == 0);
    starts_one(tells_at_31_and_32);
    CHILD_CHECK(shoal_log_set_handler(NULL, NULL) == 0);
    starts_one(tells_at_31_and_32);
    exit(0);
}

/* A function of the program, with shared memory or none: as it is at each start, by each method. */
Test(log, children_have_a_handler_that_they_can_have_1_8_6, .timeout = 90)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        cr_assert_str_eq(
            said_by(sets_handlers_that_can_be_told, (struct program){ .method = methods[i] }),
            "it says: too little\nit says: enough\n32\n");
}

/* --- records -------------------------------------------------------------------------------- */

static shoal_log_record last;
static char last_text[8192], last_name[64];

static void keeps(const shoal_log_record *record, void *context)
{
    last = *record;
    snprintf(last_text, sizeof last_text, "%s", record->text);
    snprintf(last_name, sizeof last_name, "%s", record->process_name);
    ++*(int *)context;
}

/* 1.8.7: the file and the line are the caller's. */
Test(log, handler_is_told_everything_1_8_7, .timeout = 90)
{
    int count = 0;
    assert_code(shoal_log_set_handler(keeps, &count), 0);
    errno = 77;
    SHOAL_LOG(SHOAL_LOG_WARNING, "%d of %s", 3, "them");
    cr_assert_eq(errno, 77);
    cr_assert_eq(last.line, __LINE__ - 2);
    cr_assert_str_eq(last.file, __FILE__);
    cr_assert_eq(last.level, SHOAL_LOG_WARNING);
    cr_assert_eq(last.pid, getpid());
    cr_assert_str_eq(last_name, "MainProcess");
    cr_assert_str_eq(last_text, "3 of them");
    SHOAL_LOG(SHOAL_LOG_INFO, "not told");
    cr_assert_eq(count, 1);
    assert_code(shoal_log_set_level(SHOAL_LOG_SUBDEBUG), 0);
    SHOAL_LOG(SHOAL_LOG_SUBDEBUG, "told");
    cr_assert_eq(count, 2);
    assert_code(shoal_log_set_level(-1), -EINVAL);
    assert_code(shoal_log_to_stderr(-1), -EINVAL);
    assert_code(shoal_log_set_handler(NULL, NULL), 0);
}

static int tells_too_much(void *argument)
{
    begins(argument);
    char much[10000];
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = 0;
    CHILD_CHECK(shoal_log_to_stderr(SHOAL_LOG_WARNING) == 0);
    SHOAL_LOG(SHOAL_LOG_WARNING, "%s", much);
    return 0;
}

Test(log, long_text_is_cut_off, .timeout = 90)
{
    const char *text = said_by(tells_too_much, (struct program){ 0 });
    cr_assert(strncmp(text, "[WARNING/MainProcess] xxx", 25) == 0);
    cr_assert_eq(strlen(text), 4096);
    cr_assert_str_eq(text + 4094, "x\n");
}

enum { TELLERS = 16, RECORDS = 100 };

static void tells_much(void *argument)
{
    const char sign = *(char *)argument;
    char text[120];
    memset(text, sign, sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (int i = 0; i < RECORDS; i++)
        SHOAL_LOG(SHOAL_LOG_WARNING, "%s", text);
}

static int starts_tellers(void *argument)
{
    begins(argument);
    shoal_process tellers[TELLERS];
    CHILD_CHECK(shoal_log_to_stderr(SHOAL_LOG_WARNING) == 0);
    for (int i = 0; i < TELLERS; i++) {
        const char sign = (char)('a' + i);
        const shoal_process_options options = { .target = tells_much, SHOAL_COPY_OF(sign) };
        CHILD_CHECK(shoal_process_start_new(&options, &tellers[i]) == 0);
    }
    CHILD_CHECK(shoal_process_join_all(tellers, TELLERS, harness_deadline()) == 0);
    exit(0);
}

/* Each line is whole, and of one process. */
Test(log, records_of_sixteen_processes_do_not_mix_1_8_8, .timeout = 90)
{
    char text[1 << 20];
    snprintf(text, sizeof text, "%s", said_by(starts_tellers, (struct program){ 0 }));
    int lines = 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line; lines++) {
        int number = 0, begin = 0;
        cr_assert_eq(sscanf(line, "[WARNING/Process-%d] %n", &number, &begin), 1, "%s", line);
        const char sign[2] = { (char)('a' + number - 1), 0 };
        cr_assert_eq(strlen(line + begin), 119);
        cr_assert_eq(strspn(line + begin, sign), 119, "%s", line);
    }
    cr_assert_eq(lines, TELLERS * RECORDS);
}

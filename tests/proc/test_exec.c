/* A program that is exec'd for its children: what runs where, and which functions can be targets.
 * Spec 1.2. */
#include "proc/children.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

TestSuite(exec, .timeout = 90);

/* --- the whole program ----------------------------------------------------------------------- */

struct run {
    const char *what;
    char notes[32], output[32], errors[32]; /* paths of files */
};

static int runs(void *argument)
{
    const struct run *run = argument;
    const int output = open(run->output, O_WRONLY), errors = open(run->errors, O_WRONLY);
    CHILD_CHECK(dup2(output, STDOUT_FILENO) >= 0 && dup2(errors, STDERR_FILENO) >= 0);
    execl(harness_program("start_helper"), "start_helper", run->what, run->notes, NULL);
    return 97;
}

static void temporary(char *path)
{
    snprintf(path, 32, "/tmp/shoal-exec-XXXXXX");
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
}

/* Reads it and removes it. */
static const char *text_of(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "re");
    cr_assert(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    unlink(path);
    return text;
}

static void program_notes(const char *what, int exitcode, const char *notes, const char *output,
                          const char *error)
{
    char text[1024];
    struct run run = { .what = what };
    temporary(run.notes);
    temporary(run.output);
    temporary(run.errors);
    cr_assert_eq(harness_wait(harness_child(runs, &run)), exitcode);
    cr_assert_str_eq(text_of(run.notes, text, sizeof text), notes);
    cr_assert_str_eq(text_of(run.output, text, sizeof text), output);
    text_of(run.errors, text, sizeof text);
    cr_assert(*error ? strstr(text, error) != NULL : !*text, "%s", text);
}

/* 1.2.1: before shoal_init() once in the program, in the fork server and in each of the spawned;
 * after it in the program alone. */
Test(exec, what_follows_init_runs_in_the_program_alone_1_2_1, .timeout = 90)
{
    program_notes("four", 0, "babtbtbtt", "", "");
}

/* 1.2.2: the child says so, prints nothing else and ends; the start fails. */
Test(exec, program_without_init_cannot_multiply_1_2_2, .timeout = 90)
{
    program_notes("forgets", EIO, "bb", "not to be seen in a child\n", "before shoal_init()");
}

Test(exec, program_that_forks_before_init_cannot_multiply_1_2_2, .timeout = 90)
{
    program_notes("forks", EIO, "bb", "", "");
}

/* --- a library ------------------------------------------------------------------------------- */

static void copy_file(const char *from, const char *to)
{
    char bytes[1 << 17], fresh[32];
    FILE *source = fopen(from, "re");
    cr_assert(source);
    const size_t size = fread(bytes, 1, sizeof bytes, source);
    cr_assert(size > 0 && size < sizeof bytes);
    fclose(source);
    temporary(fresh);
    FILE *target = fopen(fresh, "we");
    cr_assert(target && fwrite(bytes, 1, size, target) == size && fclose(target) == 0);
    cr_assert_eq(rename(fresh, to), 0); /* as installers do: the old file stays with its users */
}

static const enum shoal_start_method execs[] = { SHOAL_START_SPAWN, SHOAL_START_FORKSERVER };

/* 1.2.3: in a library that the new process has not loaded. 1.2.4: it was replaced, or is gone: the
 * start fails, in the parent, and nothing runs. */
Test(exec, target_in_a_library_is_found_by_its_build_id_1_2_3_1_2_4, .timeout = 90)
{
    char path[32];
    temporary(path);
    copy_file(harness_program("plugin_one.so"), path);
    void *library = dlopen(path, RTLD_NOW);
    cr_assert(library, "%s", dlerror());
    void (*target)(void *) = (void (*)(void *))(uintptr_t)dlsym(library, "plugin_target");
    assert_code(harness_init(NULL), 0);
    for (size_t i = 0; i < COUNT_OF(execs); i++) {
        const int number = 3;
        shoal_process process;
        const shoal_process_options options = { .target = target,
                                                SHOAL_COPY_OF(number),
                                                .start_method = execs[i] };
        copy_file(harness_program("plugin_one.so"), path);
        assert_code(shoal_process_start_new(&options, &process), 0);
        child_ends(process, 10 + 3);
        copy_file(harness_program("plugin_two.so"), path);
        assert_code(shoal_process_start_new(&options, &process), -EPROTO);
        unlink(path);
        assert_code(shoal_process_start_new(&options, &process), -ENOENT);
    }
    assert_code(shoal_shutdown(harness_deadline()), 0);
    dlclose(library);
}

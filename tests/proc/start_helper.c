/*
 * A program that starts itself. What it does before and after shoal_init() it notes in a file, a
 * letter each time.
 *
 * usage: start_helper WHAT FILE
 */
#include <fcntl.h>
#include <shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *file;

static void note(const char *letter)
{
    const int fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || write(fd, letter, 1) != 1)
        exit(99);
    close(fd);
}

static void target(void *argument)
{
    (void)argument;
    note("t");
}

/* Answers what shoal_process_start() does; else the child has ended well. */
static int start_by(enum shoal_start_method method)
{
    shoal_process process;
    const shoal_process_options options = { .target = target, .start_method = method };
    const int code = shoal_process_start_new(&options, &process);
    if (code < 0)
        return -code;
    if (shoal_process_join(process, SHOAL_FOREVER) < 0 || shoal_process_exitcode(process) != 0)
        return 98;
    return 0;
}

static int starts_four(int argc, char **argv)
{
    note("b");
    if (shoal_init(&argc, &argv, NULL) < 0)
        return 1;
    note("a");
    for (int i = 0; i < 2; i++)
        if (start_by(SHOAL_START_SPAWN) != 0 || start_by(SHOAL_START_FORKSERVER) != 0)
            return 2;
    return 0;
}

/* Only the first one comes to shoal_init(). */
static int forgets_to_init(int argc, char **argv)
{
    note("b");
    printf("not to be seen in a child\n");
    if (!getenv("START_HELPER_KNOWS"))
        if (setenv("START_HELPER_KNOWS", "1", 1) != 0 || shoal_init(&argc, &argv, NULL) < 0)
            return 1;
    return start_by(SHOAL_START_SPAWN);
}

/* Each comes to shoal_init() in a process of its own. */
static int forks_to_init(int argc, char **argv)
{
    note("b");
    const pid_t pid = fork();
    int status = 0;
    if (pid == 0)
        exit(shoal_init(&argc, &argv, NULL) < 0 ? 1 : start_by(SHOAL_START_SPAWN));
    if (waitpid(pid, &status, 0) != pid)
        return 1;
    return WEXITSTATUS(status);
}

/* For a program that starts this one: what is run has this program's arguments. */
static void registered(void *argument)
{
    (void)argument;
    exit((int)strlen(file));
}

static int registers(int argc, char **argv)
{
    if (shoal_register("registered here and there", registered) < 0)
        return 1;
    return shoal_init(&argc, &argv, NULL) < 0 ? 2 : 3;
}

int main(int argc, char **argv)
{
    file = argc > 2 ? argv[2] : "";
    if (argc > 2 && strcmp(argv[1], "four") == 0)
        return starts_four(argc, argv);
    if (argc > 2 && strcmp(argv[1], "forgets") == 0)
        return forgets_to_init(argc, argv);
    if (argc > 2 && strcmp(argv[1], "forks") == 0)
        return forks_to_init(argc, argv);
    if (argc > 2 && strcmp(argv[1], "registers") == 0)
        return registers(argc, argv);
    return 2;
}

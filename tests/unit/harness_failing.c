/*
 * Tests that must fail: test_harness.c runs this program, one test at a time, and expects that.
 * The last one must pass, so that failing is not all this program can do.
 */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

TestSuite(failing, .timeout = 20);

Test(failing, leaves_a_child, .timeout = 20)
{
    cr_assert(harness_child(harness_pauses, NULL) > 0);
}

Test(failing, leaves_a_descriptor, .timeout = 20)
{
    cr_assert(open("/dev/null", O_RDONLY) >= 0);
}

Test(failing, leaves_a_segment, .timeout = 20)
{
    shoal_segment one, two;
    assert_code(shoal_segment_create(NULL, &one), 0);
    assert_code(shoal_segment_create(NULL, &two), 0);
}

static char path[64];

/* After the judge has seen it. */
static void file_remove(void)
{
    unlink(path);
}

Test(failing, leaves_a_file, .timeout = 20, .fini = file_remove)
{
    snprintf(path, sizeof path, "/dev/shm/harness-%d", getpid());
    const int fd = open(path, O_CREAT | O_WRONLY, 0600);
    cr_assert(fd >= 0);
    close(fd);
}

Test(failing, does_not_end, .timeout = 1)
{
    harness_pauses(NULL);
}

/* Says its process ids on stdout and waits: whoever reads them kills the runner. */
Test(failing, waits_to_be_killed, .timeout = 60)
{
    const pid_t child = harness_child(harness_pauses, NULL);
    printf("pids %d %d\n", getpid(), child);
    fflush(stdout);
    harness_pauses(NULL);
}

Test(failing, passes, .timeout = 20)
{
    cr_assert(true);
}

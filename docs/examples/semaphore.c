/* The tutorial's semaphore: five processes, of which at most two work at a time. 1.14.1 */
#include <shoal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct shared {
    shoal_semaphore semaphore;
    atomic_int working;
};
struct arguments {
    struct shared *shared; /* in the segment: the same place in every process */
    unsigned work_ms;
};

static void must(int code, const char *what)
{
    if (code < 0) {
        fprintf(stderr, "%s: %s\n", what, shoal_error_message());
        exit(1);
    }
}

static void worker(void *argument)
{
    struct arguments *a = argument;
    const char *name = shoal_process_name(shoal_current_process());
    must(shoal_semaphore_acquire(a->shared->semaphore, SHOAL_FOREVER), "acquire");
    printf("%s acquire\n", name);
    if (atomic_fetch_add(&a->shared->working, 1) >= 2)
        shoal_fail("more than two at a time");
    usleep(a->work_ms * 1000);
    atomic_fetch_sub(&a->shared->working, 1);
    printf("%s release\n", name);
    shoal_semaphore_release(a->shared->semaphore);
}

int main(int argc, char **argv)
{
    struct arguments a;
    shoal_process workers[5];
    setvbuf(stdout, NULL, _IOLBF, 0); /* whole lines at once, also into a pipe */
    must(shoal_init(&argc, &argv, NULL), "init");
    a.shared = SHOAL_NEW(struct shared);
    if (!a.shared)
        return 1;
    must(shoal_semaphore_create(2, NULL, &a.shared->semaphore), "semaphore");
    for (unsigned i = 0; i < 5; i++) {
        a.work_ms = i * 20;
        must(shoal_process_start_new(&(shoal_process_options){ .target = worker, SHOAL_COPY_OF(a) },
                                     &workers[i]),
             "start");
    }
    must(shoal_process_join_all(workers, 5, SHOAL_FOREVER), "join");
    printf("value %u\n", shoal_semaphore_value(a.shared->semaphore));
    return 0;
}

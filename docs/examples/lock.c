/* The tutorial's lock: two processes append to one file, never at the same time. 1.12.1 */
#include <shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct arguments {
    shoal_lock lock;
    char path[32];
};

static void must(int code, const char *what)
{
    if (code < 0) {
        fprintf(stderr, "%s: %s\n", what, shoal_error_message());
        exit(1);
    }
}

static void worker_with(void *argument)
{
    struct arguments *a = argument;
    SHOAL_WITH(a->lock) {
        if (shoal_lock_owner_died(a->lock))       /* an earlier holder was killed: */
            shoal_lock_clear_owner_died(a->lock); /* a file of lines needs no repair */
        FILE *file = fopen(a->path, "a+");
        if (!file)
            return; /* and the lock is released */
        fputs("Lock acquired via with\n", file);
        fclose(file);
    } else {
        shoal_fail("lock: %s", shoal_error_message());
    }
}

static void worker_no_with(void *argument)
{
    struct arguments *a = argument;
    must(shoal_lock_acquire(a->lock, SHOAL_FOREVER), "acquire");
    FILE *file = fopen(a->path, "a+");
    if (file) {
        fputs("Lock acquired directly\n", file);
        fclose(file);
    }
    shoal_lock_release(a->lock); /* on every path */
}

static void show(const char *path)
{
    FILE *file = fopen(path, "r");
    for (int c; file && (c = getc(file)) != EOF;)
        putchar(c);
    if (file)
        fclose(file);
}

int main(int argc, char **argv)
{
    struct arguments a = { .path = "/tmp/shoal-lock-XXXXXX" };
    shoal_process with, without;
    must(shoal_init(&argc, &argv, NULL), "init");
    must(shoal_lock_create(NULL, &a.lock), "lock");
    int fd = mkstemp(a.path);
    if (fd < 0) {
        perror(a.path);
        return 1;
    }
    close(fd);

    shoal_process_options options = { .target = worker_with, SHOAL_COPY_OF(a) };
    must(shoal_process_start_new(&options, &with), "start");
    options.target = worker_no_with;
    must(shoal_process_start_new(&options, &without), "start");
    must(shoal_process_join(with, SHOAL_FOREVER), "join");
    must(shoal_process_join(without, SHOAL_FOREVER), "join");

    show(a.path);
    unlink(a.path);
    return 0;
}

/*
 * One page for three workers, of which none copies it: it is shared three times, once for each
 * queue, and the last of the three frees it.
 */
#include <shoal.h>
#include <stdio.h>

enum { WORKERS = 3 };

struct worker {
    shoal_queue in;
    char letter;
};

static void must(int code, const char *what)
{
    if (code < 0)
        shoal_fail("%s: %s", what, shoal_error_message());
}

static void count_letter(void *argument)
{
    const struct worker *worker = argument;
    void *page;
    int count = 0;
    must(shoal_queue_get(worker->in, &page, SHOAL_FOREVER), "get");
    for (const char *letter = page; *letter; letter++)
        count += *letter == worker->letter;
    shoal_free(page);
    printf("%c: %d times\n", worker->letter, count);
}

int main(int argc, char **argv)
{
    must(shoal_init(&argc, &argv, NULL), "init");
    shoal_process processes[WORKERS];
    char *page = shoal_strdup("three shoals of herring");
    if (!page)
        shoal_fail("strdup: %s", shoal_error_message());
    for (int i = 0; i < WORKERS; i++) /* all of it before any worker can free it */
        must(shoal_share(page), "share");
    for (int i = 0; i < WORKERS; i++) {
        struct worker worker = { .letter = "hes"[i] };
        must(shoal_queue_create(NULL, &worker.in), "queue");
        must(shoal_process_start_new(
                 &(shoal_process_options){ .target = count_letter, SHOAL_COPY_OF(worker) },
                 &processes[i]),
             "start");
        must(shoal_queue_put(worker.in, page, SHOAL_FOREVER), "put");
    }
    must(shoal_process_join_all(processes, WORKERS, SHOAL_FOREVER), "join");
    shoal_audit audit;
    must(shoal_segment_audit((shoal_segment){ 0 }, &audit), "audit");
    printf("%d payloads are left\n", (int)audit.payloads_count);
    return 0;
}

/* Compiled as C17 and as C++17 against the installed library, static and shared. */
#include <shoal.h>
#include <stdio.h>

struct work {
    shoal_queue answers;
    int question;
};

static void worker(void *argument)
{
    const struct work *work = (const struct work *)argument;
    int answer = work->question * 2;
    if (shoal_queue_put_bytes(work->answers, &answer, sizeof(answer), SHOAL_FOREVER) < 0)
        shoal_fail("%s", shoal_error_message());
}

static shoal_process_options options; /* all zero: the defaults */
static struct work work;

int main(int argc, char **argv)
{
    shoal_process process;
    void *payload;
    if (shoal_init(&argc, &argv, NULL) < 0 || shoal_queue_create(NULL, &work.answers) < 0)
        return 1;
    work.question = 21;
    options.target = worker;
    options.argument = &work;
    options.argument_size = sizeof(work);
    if (shoal_process_start_new(&options, &process) < 0 ||
        shoal_queue_get(work.answers, &payload, shoal_after_s(20)) < 0 ||
        shoal_process_join(process, shoal_after_s(20)) < 0)
        return 2;
    printf("%d\n", *(int *)payload);
    shoal_free(payload);
    return shoal_process_exitcode(process);
}

/* 2.11: a pipe to a worker: what goes in comes back doubled, until one end is closed. */
#include <shoal.h>
#include <stdio.h>

static void must(int code, const char *what)
{
    if (code < 0)
        shoal_fail("%s: %s", what, shoal_error_message());
}

static void doubles(void *argument)
{
    const shoal_connection *end = argument;
    int number;
    size_t size;
    while (shoal_connection_recv_bytes(*end, &number, sizeof number, &size, SHOAL_FOREVER) == 0) {
        number *= 2;
        must(shoal_connection_send_bytes(*end, &number, sizeof number, SHOAL_FOREVER), "send");
    }
    printf("%s: %s\n", shoal_process_name(shoal_current_process()), shoal_error_message());
}

int main(int argc, char **argv)
{
    shoal_connection ours, its;
    shoal_process process;
    must(shoal_init(&argc, &argv, NULL), "init");
    must(shoal_pipe_create(NULL, &ours, &its), "pipe");
    must(shoal_process_create(&(shoal_process_options){ .target = doubles, SHOAL_COPY_OF(its) },
                              &process),
         "process");
    must(shoal_connection_give(its, process), "give"); /* so that our close is its end */
    must(shoal_process_start(process), "start");
    for (int number = 1; number <= 3; number++) {
        int answer;
        size_t size;
        must(shoal_connection_send_bytes(ours, &number, sizeof number, SHOAL_FOREVER), "send");
        must(shoal_connection_recv_bytes(ours, &answer, sizeof answer, &size, SHOAL_FOREVER),
             "recv");
        printf("%d\n", answer);
    }
    fflush(stdout);
    must(shoal_connection_close(ours), "close");
    must(shoal_process_join(process, SHOAL_FOREVER), "join");
    return 0;
}

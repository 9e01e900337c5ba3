/* 2.14: a worker opens files for others: they get the open file, and not its name. */
#include <fcntl.h>
#include <shoal.h>
#include <stdio.h>
#include <unistd.h>

static void must(int code, const char *what)
{
    if (code < 0)
        shoal_fail("%s: %s", what, shoal_error_message());
}

static void opens(void *argument)
{
    const shoal_connection *end = argument;
    char name[64];
    size_t size;
    while (shoal_connection_recv_bytes(*end, name, sizeof name, &size, SHOAL_FOREVER) == 0) {
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        must(shoal_connection_send_fd(*end, fd, SHOAL_FOREVER), name);
        close(fd);
    }
}

int main(int argc, char **argv)
{
    const char *const names[] = { "/dev/zero", "/dev/null" };
    shoal_connection ours, its;
    shoal_process process;
    must(shoal_init(&argc, &argv, NULL), "init");
    must(shoal_pipe_create(NULL, &ours, &its), "pipe");
    must(shoal_process_create(&(shoal_process_options){ .target = opens, SHOAL_COPY_OF(its) },
                              &process),
         "process");
    must(shoal_connection_give(its, process), "give");
    must(shoal_process_start(process), "start");
    for (int i = 0; i < 2; i++) {
        char bytes[4];
        int fd;
        must(shoal_connection_send_bytes(ours, names[i], sizeof "/dev/zero", SHOAL_FOREVER),
             "send");
        must(shoal_connection_recv_fd(ours, &fd, SHOAL_FOREVER), "receive");
        printf("%s: %d bytes read\n", names[i], (int)read(fd, bytes, sizeof bytes));
        close(fd);
    }
    must(shoal_connection_close(ours), "close");
    must(shoal_process_join(process, SHOAL_FOREVER), "join");
    return 0;
}

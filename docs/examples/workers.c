/* The tutorial's first programs: five processes of one function, then with an argument each, which
 * is copied. Nobody joins them: the end of the program does. 1.1.1, 1.1.2, 1.1.3 */
#include <shoal.h>
#include <stdio.h>

static void worker(void *argument)
{
    (void)argument;
    printf("Worker\n");
}

static void numbered_worker(void *argument)
{
    printf("Worker: %d\n", *(int *)argument);
}

int main(int argc, char **argv)
{
    if (shoal_init(&argc, &argv, NULL) < 0)
        return 1;
    for (int i = 0; i < 5; i++) {
        const shoal_process_options plain = { .target = worker, .auto_close = true };
        const shoal_process_options numbered = { .target = numbered_worker,
                                                 .auto_close = true,
                                                 SHOAL_COPY_OF(i) };
        if (shoal_process_start_new(&plain, NULL) < 0 ||
            shoal_process_start_new(&numbered, NULL) < 0)
            return 1;
    }
    return 0;
}

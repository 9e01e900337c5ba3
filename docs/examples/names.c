/* The tutorial's names: processes say who they are. 1.3.1, 1.3.2, 1.3.3 */
#include <shoal.h>
#include <stdio.h>

static void worker(void *argument)
{
    (void)argument;
    const char *name = shoal_process_name(shoal_current_process());
    printf("%s Starting\n%s Exiting\n", name, name);
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "my_service", "worker 1", NULL };
    shoal_process processes[3];
    if (shoal_init(&argc, &argv, NULL) < 0)
        return 1;
    for (int i = 0; i < 3; i++) /* the third one described is Process-3 */
        if (shoal_process_create(&(shoal_process_options){ .target = worker, .name = names[i] },
                                 &processes[i]) < 0)
            return 1;
    for (int i = 3; i-- > 0;)
        if (shoal_process_start(processes[i]) < 0)
            return 1;
    return shoal_process_join_all(processes, 3, SHOAL_FOREVER) < 0;
}

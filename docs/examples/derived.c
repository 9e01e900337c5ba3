/* The tutorial's derived processes: a type of process, with a state of its own. 1.9.1, 1.9.2 */
#include <shoal.h>
#include <stdio.h>

struct state {
    int number; /* given */
    int square; /* found */
};

static void run(shoal_process self, void *state)
{
    struct state *mine = state;
    printf("In %s\n", shoal_process_name(self));
    mine->square = mine->number * mine->number;
}

int main(int argc, char **argv)
{
    const shoal_process_type worker = { .name = "Worker",
                                        .run = run,
                                        .state_size = sizeof(struct state) };
    shoal_process jobs[5];
    if (shoal_init(&argc, &argv, NULL) < 0)
        return 1;
    for (int i = 0; i < 5; i++)
        if (shoal_process_start_new(&(shoal_process_options){ .type = &worker, SHOAL_COPY_OF(i) },
                                    &jobs[i]) < 0)
            return 1;
    if (shoal_process_join_all(jobs, 5, SHOAL_FOREVER) < 0)
        return 1;
    for (int i = 0; i < 5; i++)
        printf("%s: %d\n", shoal_process_name(jobs[i]),
               ((struct state *)shoal_process_argument(jobs[i]))->square);
    return 0;
}

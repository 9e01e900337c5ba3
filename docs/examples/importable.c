/* The tutorial's importable targets: the function of another file, run by executing this program
 * anew. What stands behind shoal_init() is what Python guards by __name__: it runs once, here.
 * 1.2.1, 1.2.3 */
#include "importable_worker.h"

#include <shoal.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    if (shoal_init(&argc, &argv, NULL) < 0)
        return 1;
    printf("Main\n");
    for (int i = 0; i < 5; i++) {
        const shoal_process_options options = { .target = importable_worker,
                                                .start_method = SHOAL_START_SPAWN,
                                                .auto_close = true };
        if (shoal_process_start_new(&options, NULL) < 0)
            return 1;
    }
    return 0;
}

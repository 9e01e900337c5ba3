#include "importable_worker.h"

#include <stdio.h>

void importable_worker(void *argument)
{
    (void)argument;
    printf("Worker\n");
}

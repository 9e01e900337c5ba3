/* The target of importable.c. */
#ifndef IMPORTABLE_WORKER_H
#define IMPORTABLE_WORKER_H

void importable_worker(void *argument);

#endif

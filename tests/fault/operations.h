/*
 * The operations in which every use of every function fails: one a row. What must hold then is told
 * in failing.h.
 */
#ifndef SHOAL_TESTS_OPERATIONS_H
#define SHOAL_TESTS_OPERATIONS_H

#include "failing.h"

struct table {
    const struct operation *rows;
    size_t count;
};

extern const struct table memory_table, segments_table, objects_table, waiting_table,
    processes_table, descriptors_table;

/* What several tables use. */
extern shoal_queue queue;
void prepare_family(void);
void prepare_thread(void); /* the family, and the calling thread in it */
void prepare_queue(void);
void get_one(void);
void finish_queue(void);
void close_stdin(void);
void restore_stdin(void);

#endif

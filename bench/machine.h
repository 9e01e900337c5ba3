/* The machine on which all this is measured. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

void machine_print(void);

#endif

/* Results, one line each. */
#ifndef MODEL_TAP_H
#define MODEL_TAP_H

#include <stdbool.h>

extern bool tap_verbose; /* also show the schedules that refute seeded mistakes */

bool tap_wants(const char *name);
__attribute__((format(printf, 2, 3))) void tap_result(bool ok, const char *format, ...);

#endif

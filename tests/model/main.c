/*
 * Runs all models, or those whose name begins with the argument; -v also shows the schedules that
 * refute seeded mistakes.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "models.h"
#include "tap.h"

bool tap_verbose;
static const char *only = "";
static unsigned count, failures;

bool tap_wants(const char *name)
{
    return strncmp(name, only, strlen(only)) == 0;
}

void tap_result(bool ok, const char *format, ...)
{
    count++;
    failures += !ok;
    printf("%s %u - ", ok ? "ok" : "not ok", count);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

int main(int arguments_count, char **arguments)
{
    for (int i = 1; i < arguments_count; i++) {
        if (strcmp(arguments[i], "-v") == 0)
            tap_verbose = true;
        else
            only = arguments[i];
    }
    check_bell();
    check_ring();
    check_cancel();
    check_event();
    printf("1..%u\n", count);
    return failures > 0;
}

/* How a failure is told: a code of the closed list, and this thread's message. */
#ifndef SHL_BASE_ERROR_H
#define SHL_BASE_ERROR_H

#include "base/attr.h"

#include <shoal/error.h>

/* Both answer `code`. The first keeps the pointer to a constant text: cheap enough for a poll. */
void shl_error_set(int code, const char *text);
static inline int shl_error(int code, const char *text)
{
    shl_error_set(code, text);
    return code; /* here, where the compiler sees that a failure is one */
}
int shl_errorf(int code, const char *format, ...) SHL_PRINTF(2, 3);

/* The code of this thread's last failure, for functions that answer NULL. Never a success. */
int shl_error_last(void);
static inline int shl_error_code(void)
{
    int code = shl_error_last();
    return code < 0 ? code : -EIO;
}

/* The code of the closed list for an errno of the system: -ENOSPC is -ENOMEM, unlisted -EIO. */
int shl_error_of_errno(int number);

#endif

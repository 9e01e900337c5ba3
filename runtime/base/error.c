#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

enum { MESSAGE_SIZE = 256 };

static _Thread_local char message_buffer[MESSAGE_SIZE];
static _Thread_local const char *message = "";
static _Thread_local int message_code;

static const struct {
    int number;
    const char *text;
} errors[] = {
    { EINVAL, "EINVAL: none or wrong argument" },
    { ENOMEM, "ENOMEM: a memory limit was reached" },
    { ETIMEDOUT, "ETIMEDOUT: the deadline passed" },
    { ECANCELED, "ECANCELED: the cancel event was set" },
    { EPIPE, "EPIPE: no more messages" },
    { ESTALE, "ESTALE: the object is gone" },
    { ECHILD, "ECHILD: not the creator" },
    { ESRCH, "ESRCH: not started" },
    { EALREADY, "EALREADY: done before" },
    { EBUSY, "EBUSY: still in use" },
    { EPERM, "EPERM: not the owner" },
    { EOVERFLOW, "EOVERFLOW: done too often" },
    { EDEADLK, "EDEADLK: waiting for oneself" },
    { EFAULT, "EFAULT: not a payload" },
    { EXDEV, "EXDEV: of another segment" },
    { EMSGSIZE, "EMSGSIZE: too large" },
    { ERANGE, "ERANGE: index out of range" },
    { ENOENT, "ENOENT: no such name" },
    { EEXIST, "EEXIST: the name exists" },
    { EAGAIN, "EAGAIN: differs" },
    { ENODATA, "ENODATA: the end" },
    { ECONNABORTED, "ECONNABORTED: broken barrier" },
    { EREMOTEIO, "EREMOTEIO: an element failed" },
    { EPROTO, "EPROTO: another layout" },
    { EADDRINUSE, "EADDRINUSE: the place is taken" },
    { EUSERS, "EUSERS: no slot or process to be had" },
    { EMFILE, "EMFILE: no descriptor to be had" },
    { ENOTSUP, "ENOTSUP: not supported" },
    { EUCLEAN, "EUCLEAN: damaged" },
    { EIO, "EIO: the system failed" },
};

void shl_error_set(int code, const char *text)
{
    message = text;
    message_code = code;
}

int shl_error_last(void)
{
    return message_code;
}

int shl_errorf(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message_buffer, sizeof message_buffer, format, arguments);
    va_end(arguments);
    return shl_error(code, message_buffer);
}

int shl_error_of_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EFBIG:
    case EAGAIN: /* of mmap: locked memory; of fork, see os/child.c */
        return -ENOMEM;
    case ENFILE:
    case ETOOMANYREFS: /* descriptors on their way */
        return -EMFILE;
    case EACCES:
        return -EPERM;
    case EBADF:
        return -EINVAL;
    }
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].number == number)
            return -number;
    return -EIO;
}

const char *shoal_strerror(int code)
{
    if (code == 0)
        return "success";
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (code == errors[i].number || code == -errors[i].number)
            return errors[i].text;
    return "not a code of shoal";
}

const char *shoal_error_message(void)
{
    return message;
}

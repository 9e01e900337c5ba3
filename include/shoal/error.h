/*
 * Errors. Every failure is one of these codes, negative; a start may also fail with another one of
 * errno's, for what its setup asks for. SHOAL_OWNER_DIED is no failure: it is 1.
 *
 * EINVAL none or wrong argument; ENOMEM a memory limit; ETIMEDOUT the deadline passed; ECANCELED
 * the cancel event was set; EPIPE no more messages, shut down; ESTALE the object is gone; ECHILD
 * not the creator; ESRCH not started; EALREADY done before; EBUSY still in use; EPERM not the
 * owner; EOVERFLOW done too often; EDEADLK waiting for oneself; EFAULT not a payload; EXDEV of
 * another segment; EMSGSIZE too large; ERANGE index; ENOENT, EEXIST a name; EAGAIN differs;
 * ENODATA the end; ECONNABORTED broken barrier; EREMOTEIO an element failed; EPROTO another
 * layout; EADDRINUSE the place is taken; EUSERS no slot, no process; EMFILE no descriptor;
 * ENOTSUP not supported; EUCLEAN damaged; EIO the system failed in a way not listed.
 */
#ifndef SHOAL_ERROR_H
#define SHOAL_ERROR_H

#include <errno.h>
#include <shoal/base.h>

SHOAL_BEGIN_DECLS

/*
 * shoal_strerror - a code of the closed list in words.
 * @code: any number, negative as returned or positive.
 * Owns:    a constant text.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler yes.
 * Death:   nothing to leave.
 * Returns: "ENOMEM: a memory limit was reached"; for other numbers a text that says so; never NULL.
 * Python:  os.strerror().
 */
SHOAL_API const char *shoal_strerror(int code);

/*
 * shoal_error_message - this thread's last failure in words.
 * Owns:    the text is the library's and valid until this thread's next failure.
 * Blocks:  no.
 * Safe:    threads yes, each has its own; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: a text; empty before the first failure; never NULL. Success does not change it.
 * Python:  str(exception).
 */
SHOAL_API const char *shoal_error_message(void);

SHOAL_END_DECLS
#endif

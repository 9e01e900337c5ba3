/*
 * What the library and the program tell about themselves, one line a record:
 *
 *     [INFO/Process-1] child process calling self.run()
 *
 * Silent until a program asks for it, here or by the environment: SHOAL_LOG=INFO, or any other
 * level by name or number, is shoal_log_to_stderr() in shoal_init(). A value that is no level is
 * told there, and the level stays what it was.
 *
 * A child begins with the level of its creator, and writes to stderr if he does. It has his handler
 * too: by SHOAL_START_FORK any; by the other methods one that is a function of the program itself,
 * and not of a library, if its context is NULL or lies in memory of shoal_alloc(). In place of any
 * other it has there what the program sets before shoal_init().
 *
 * docs/examples/logging.c is a complete program.
 */
#ifndef SHOAL_LOG_H
#define SHOAL_LOG_H

#include <shoal/base.h>
#include <sys/types.h>

SHOAL_BEGIN_DECLS

/* Levels, as in Python: higher is worse, and others may lie between them. */
enum {
    SHOAL_LOG_NOTSET = 0, /* nobody has said: WARNING */
    SHOAL_LOG_SUBDEBUG = 5,
    SHOAL_LOG_DEBUG = 10,
    SHOAL_LOG_INFO = 20,
    SHOAL_LOG_SUBWARNING = 25,
    SHOAL_LOG_WARNING = 30
};

/* Texts are valid during the handler's call alone. */
typedef struct {
    int level;
    const char *process_name;
    pid_t pid;
    const char *file;
    int line;
    const char *text; /* without a final newline, cut off after some 4000 bytes */
    uint64_t reserved[4];
} shoal_log_record;

typedef void (*shoal_log_handler)(const shoal_log_record *record, void *context);

/*
 * shoal_log_to_stderr - write records to stderr, each by one write(2).
 * @level: from here on; SHOAL_LOG_NOTSET leaves the level as it is.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler yes.
 * Death:   nothing to leave.
 * Returns: 0; -EINVAL a negative level.
 * Python:  multiprocessing.log_to_stderr(level).
 */
SHOAL_API int shoal_log_to_stderr(int level);

/*
 * shoal_log_set_level - what is told: records of this level and worse ones.
 * @level: SHOAL_LOG_NOTSET is WARNING.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler yes.
 * Death:   nothing to leave.
 * Returns: 0; -EINVAL a negative level.
 * Python:  multiprocessing.get_logger().setLevel(level).
 */
SHOAL_API int shoal_log_set_level(int level);

/*
 * shoal_log_set_handler - give records to a function, whether or not they go to stderr.
 * @handler: called by the thread that logs, perhaps several at once; NULL: none any more.
 * @context: handed to it.
 * Owns:    @context stays the caller's, and must live as long as the handler is set, here and in
 *          children that were started meanwhile.
 * Blocks:  no.
 * Safe:    threads one at a time, while no other logs or starts a process; after fork yes; signal
 *          handler no.
 * Death:   nothing to leave.
 * Returns: 0.
 * Python:  multiprocessing.get_logger().addHandler(handler).
 */
SHOAL_API int shoal_log_set_handler(shoal_log_handler handler, void *context);

/*
 * shoal_log_write - tell something, by the name of the calling process.
 * @level: how bad it is.
 * @file: of the source that tells it: see SHOAL_LOG().
 * @line: there.
 * @format: as in printf(3).
 * Owns:    nothing.
 * Blocks:  as write(2) to stderr, and as the handler does.
 * Safe:    threads yes, no two records mix; after fork yes; signal handler no.
 * Death:   a record is there whole, or not at all.
 * Returns: nothing; errno is as before.
 * Python:  multiprocessing.get_logger().log(level, ...).
 */
SHOAL_API void shoal_log_write(int level, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define SHOAL_LOG(level, ...) shoal_log_write(level, __FILE__, __LINE__, __VA_ARGS__)

SHOAL_END_DECLS
#endif

#include "proc/log.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "mem/segment.h"
#include "proc/target.h"

#include <shoal/process.h>

/* A pipe takes so much at once, or nothing: records of several processes do not mix. */
enum { RECORD_MAX = PIPE_BUF };

static struct {
    atom32 level; /* NOTSET: WARNING */
    atom32 to_stderr;
    shoal_log_handler handler;
    void *context;
} logger;

static const struct {
    int level;
    const char *name;
} levels[] = {
    { SHOAL_LOG_NOTSET, "NOTSET" },   { SHOAL_LOG_SUBDEBUG, "SUBDEBUG" },
    { SHOAL_LOG_DEBUG, "DEBUG" },     { SHOAL_LOG_INFO, "INFO" },
    { SHOAL_LOG_WARNING, "WARNING" }, { SHOAL_LOG_SUBWARNING, "SUBWARNING" },
};
enum { LEVELS = sizeof levels / sizeof *levels };

/* --- what is told, and to whom -------------------------------------------------------------- */

int shoal_log_set_level(int level)
{
    REQUIRE(level >= 0, -EINVAL, "a level is not negative");
    /* Relaxed, as all here: nothing else hangs on it. */
    atom_store_relaxed(&logger.level, (uint32_t)level);
    return 0;
}

int shoal_log_to_stderr(int level)
{
    REQUIRE(level >= 0, -EINVAL, "a level is not negative");
    if (level != SHOAL_LOG_NOTSET)
        atom_store_relaxed(&logger.level, (uint32_t)level);
    atom_store_relaxed(&logger.to_stderr, true);
    return 0;
}

int shoal_log_set_handler(shoal_log_handler handler, void *context)
{
    logger.handler = handler;
    logger.context = context;
    return 0;
}

/* By name or number; negative if it is neither. */
static int level_named(const char *text)
{
    char *end;
    for (int i = 0; i < LEVELS; i++)
        if (strcmp(levels[i].name, text) == 0)
            return levels[i].level;
    unsigned long level = strtoul(text, &end, 10);
    return *end == 0 && level <= INT_MAX ? (int)level : -1;
}

void shl_log_init(void)
{
    const char *text = secure_getenv("SHOAL_LOG");
    if (!text || !*text)
        return;
    int level = level_named(text);
    shoal_log_to_stderr(level < 0 ? SHOAL_LOG_NOTSET : level);
    if (level < 0)
        SHOAL_LOG(SHOAL_LOG_WARNING, "SHOAL_LOG=%s is no level", text);
}

static bool describe_handler(struct shl_log_settings *ret_settings)
{
    struct shl_target target;
    const struct shl_segment *family = shl_segment_family();
    uint64_t context = family && logger.context ? shl_offset(family, logger.context) : 0;
    if (!family || context >= family->size ||
        shl_target_describe((void (*)(void *))(void (*)(void))logger.handler, &target) < 0 ||
        !shl_target_is_certain(&target))
        return false;
    ret_settings->told = SHL_LOG_HANDLER;
    ret_settings->at = target.offset;
    ret_settings->context = context;
    return true;
}

void shl_log_describe(bool same_program, struct shl_log_settings *ret_settings)
{
    *ret_settings = (struct shl_log_settings){ .level = atom_load_relaxed(&logger.level),
                                               .to_stderr = atom_load_relaxed(&logger.to_stderr),
                                               .told = SHL_LOG_NO_HANDLER };
    if (logger.handler && !(same_program && describe_handler(ret_settings)))
        ret_settings->told = SHL_LOG_OWN_HANDLER;
}

/* Apart from adopt(), since a target is larger than a page of the stack: that of a child without a
 * handler stays as it was. */
static __attribute__((noinline)) shoal_log_handler find_handler(uint64_t at)
{
    void (*function)(void *) = NULL;
    const struct shl_target target = { .offset = at };
    shl_target_find(&target, &function);
    return (shoal_log_handler)(void (*)(void))function;
}

void shl_log_adopt(const struct shl_log_settings *settings)
{
    atom_store_relaxed(&logger.level, settings->level);
    atom_store_relaxed(&logger.to_stderr, settings->to_stderr);
    if (settings->told == SHL_LOG_OWN_HANDLER)
        return;
    shoal_log_set_handler(settings->told == SHL_LOG_HANDLER ? find_handler(settings->at) : NULL,
                          settings->context ? shl_at(shl_segment_family(), settings->context)
                                            : NULL);
}

/* --- a record ------------------------------------------------------------------------------- */

static bool is_told(int level)
{
    int least = (int)atom_load_relaxed(&logger.level);
    return level >= (least ? least : SHOAL_LOG_WARNING) &&
           (logger.handler || atom_load_relaxed(&logger.to_stderr));
}

/* Answers its length. */
static size_t begin_line(char *line, int level, const char *process_name)
{
    const char *name = NULL;
    for (int i = 0; i < LEVELS; i++)
        if (levels[i].level == level)
            name = levels[i].name;
    int length = name ? snprintf(line, RECORD_MAX, "[%s/%s] ", name, process_name)
                      : snprintf(line, RECORD_MAX, "[Level %d/%s] ", level, process_name);
    return (size_t)length;
}

void shoal_log_write(int level, const char *file, int line, const char *format, ...)
{
    if (!is_told(level))
        return;
    int number = errno;
    char record[RECORD_MAX];
    const char *process_name = shoal_process_name(shoal_current_process());
    size_t begin = begin_line(record, level, process_name);
    size_t room = sizeof record - begin; /* for the text, and its zero or its newline */
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(record + begin, room, format, arguments);
    va_end(arguments);
    if (logger.handler)
        logger.handler(&(shoal_log_record){ .level = level,
                                            .process_name = process_name,
                                            .pid = getpid(),
                                            .file = file,
                                            .line = line,
                                            .text = record + begin },
                       logger.context);
    size_t end = begin + (length < 0 ? 0 : (size_t)length < room ? (size_t)length : room - 1);
    record[end] = '\n';
    if (atom_load_relaxed(&logger.to_stderr))
        while (write(STDERR_FILENO, record, end + 1) < 0 && errno == EINTR) {}
    errno = number;
}

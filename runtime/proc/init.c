/* The library as a whole: how a program begins with it. */
#include <stdlib.h>

#include "base/clock.h"
#include "mem/self.h"
#include "os/chaos.h"
#include "os/membarrier.h"
#include "proc/log.h"
#include "proc/start.h"

#define TEXT_(number) #number
#define TEXT(number) TEXT_(number)

/* Who gives main's arguments is in main, where a child that is exec'd comes by as well. */
static void choose_method(char ***argv, enum shoal_start_method asked)
{
    shl_start_argv = argv ? *argv : NULL;
    shl_start_method = asked ? asked : shl_start_argv ? SHOAL_START_FORKSERVER : SHOAL_START_FORK;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): main's, as elsewhere */
int shoal_init(int *argc, char ***argv, const shoal_init_options *options)
{
    (void)argc;
    shoal_init_options chosen = options ? *options : (shoal_init_options){ 0 };
    REQUIRE_RESERVED(&chosen);
    int code = shl_start_check(chosen.start_method, argv ? *argv : NULL);
    if (code == 0)
        code = shl_chaos_check();
    /* cppcheck-suppress knownConditionTrueFalse ; not in the builds with kill points */
    if (code == 0 && !chosen.no_exit_hook)
        code = shl_exit_hook();
    if (code < 0)
        return code;
    (void)shl_membarrier_register(); /* takes least while there is one thread */
    bool child = shl_enter_pending();
    if (!child)
        code = shl_segment_family_create(chosen.size_max);
    if (code < 0)
        return code;
    shl_exit_hook_enable(!chosen.no_exit_hook);
    shl_daemons_childless = chosen.daemons_without_children;
    shl_server_keeps_ready = !chosen.no_ready_child;
    if (!child) /* who has a creator logs as he does */
        shl_log_init();
    choose_method(argv, chosen.start_method);
    return child ? shl_enter() : 0;
}

unsigned shoal_cpu_count(void)
{
    return shl_cpu_count();
}

const char *shoal_version(void)
{
    return TEXT(SHOAL_VERSION_MAJOR) "." TEXT(SHOAL_VERSION_MINOR) "." TEXT(SHOAL_VERSION_PATCH);
}

#include "machine.h"

#include <gnu/libc-version.h>
#include <shoal.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static void print_processor(void)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[256];
    const char *model = NULL;

    while (file != NULL && model == NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "model name", 10) == 0)
            model = strchr(line, ':');
    line[strcspn(line, "\n")] = '\0';
    printf("machine: %s, %u processors", model == NULL ? "unknown" : model + 2, shoal_cpu_count());
    if (file != NULL)
        fclose(file);
}

void machine_print(void)
{
    struct utsname system;

    print_processor();
    if (uname(&system) == 0)
        printf(", %s %s %s", system.sysname, system.release, system.machine);
    printf(", glibc %s\n", gnu_get_libc_version());
#ifdef __clang__
    printf("compiler: %s", __VERSION__);
#else
    printf("compiler: gcc %s", __VERSION__);
#endif
    printf("; shoal %s\n", shoal_version());
}

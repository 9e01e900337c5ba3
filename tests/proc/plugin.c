/* A library that a test loads; built twice, with another number each time. */
#include <stdlib.h>

__attribute__((visibility("default"))) void plugin_target(void *argument);

void plugin_target(void *argument)
{
    exit(PLUGIN_NUMBER + *(int *)argument);
}

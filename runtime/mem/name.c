#include "mem/name.h"

#include <string.h>

#include "base/check.h"

#include <shoal/segment.h>

int shl_name_check(const char *name)
{
    REQUIRE(name && name[0] != '\0' && !strchr(name, '/'), -EINVAL,
            "a name has at least one byte and no slash");
    REQUIRE(strnlen(name, SHOAL_NAME_MAX + 1) <= SHOAL_NAME_MAX, -EMSGSIZE,
            "the name is longer than SHOAL_NAME_MAX");
    return 0;
}

/* What stands for a rival whose library was not there when this program was built. */
#include "transport.h"

#include <errno.h>

static int not_built(struct channel *channel)
{
    (void)channel;
    return -ELIBACC;
}

#define MISSING(which, title) \
    __attribute__((weak))     \
    const struct transport transport_##which = { .name = (title), .open = not_built }

MISSING(ck_spsc, "ck spsc");
MISSING(ck_mpmc, "ck mpmc");
MISSING(ck_mpmc_our_wait, "ck mpmc, our wait");
MISSING(rte_spsc, "rte SP/SC");
MISSING(rte_mpmc, "rte MP/MC");
MISSING(rte_hts, "rte HTS");
MISSING(boost_spsc, "boost spsc");
MISSING(boost_mpmc, "boost queue");

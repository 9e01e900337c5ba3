#include "flow/doors.h"

#include <errno.h>

#include "base/atom.h"
#include "base/check.h"
#include "base/heap.h"
#include "mem/self.h"
#include "os/door.h"

/*
 * Never freed and only ever put in front, so that a child that the host has forked can go through
 * its parent's list, whatever another thread of his was doing to it; of what that one was just
 * opening or closing it may keep a descriptor. Our own forks hold the lock.
 */
static struct place {
    struct place *next;
    uint64_t ref; /* the end; 0: none, and the door is closed */
    struct shl_door door;
} * places;

static void leave_parents(void)
{
    for (struct place *place = places; place; place = place->next)
        if (place->ref != 0) {
            place->ref = 0;
            shl_door_close(&place->door);
        }
}

bool shl_doors_lock(void)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return false;
    pthread_mutex_lock(&shared->doors_lock);
    if (!shared->doors_own)
        leave_parents();
    shared->doors_own = true;
    return true;
}

void shl_doors_unlock(void)
{
    pthread_mutex_unlock(&shl_shared()->doors_lock);
}

static struct place *find(uint64_t ref)
{
    struct place *place = places;
    while (place && place->ref != ref)
        place = place->next;
    return place;
}

static struct place *make_place(void)
{
    struct place *place = shl_heap_resize(NULL, sizeof *place);
    if (!place) {
        shl_error(-ENOMEM, "no memory for the table of doors");
        return NULL;
    }
    place->next = places;
    place->ref = 0;
    atom_compiler_barrier(); /* see above */
    places = place;
    return place;
}

static int open_door(uint64_t ref, struct place **ret_place)
{
    struct place *place = find(0);
    if (!place)
        place = make_place();
    int code = place ? shl_door_open(&place->door) : shl_error_code();
    if (code == 0)
        place->ref = ref;
    *ret_place = place;
    return code;
}

int shl_doors_open(uint64_t ref, uint32_t *ret_number, uint64_t *ret_secret)
{
    struct place *place = find(ref);
    int code = place ? 0 : open_door(ref, &place);
    if (code == 0) {
        *ret_number = place->door.number;
        *ret_secret = place->door.secret;
    }
    return code;
}

int shl_doors_take(uint64_t ref, pid_t from, unsigned *ret_gone, int *ret_fd)
{
    struct place *place = find(ref);
    *ret_gone = 0;
    return place ? shl_door_take(&place->door, from, ret_gone, ret_fd)
                 : shl_error(-ESTALE, "this end was closed");
}

void shl_doors_close(uint64_t ref)
{
    struct place *place = find(ref);
    if (place) {
        place->ref = 0;
        shl_door_close(&place->door);
    }
}

void shl_doors_leave(void)
{
    if (shl_doors_lock())
        shl_doors_unlock();
}

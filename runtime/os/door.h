/*
 * Descriptors handed from process to process: into a *door*, a listening socket that others find by
 * its number. The kernel keeps what was handed in: it survives whoever did so, and goes with the
 * last process that has the door.
 */
#ifndef SHL_OS_DOOR_H
#define SHL_OS_DOOR_H

#include <stdint.h>
#include <sys/types.h>

enum { SHL_DOOR_GUESTS_MAX = 64 }; /* so many wait there, about */

struct shl_door {
    int fd;
    int guest;       /* who has come in and was not served yet; -1: nobody */
    uint32_t number; /* its name among all of this network namespace; below 2^20 */
    uint64_t secret; /* what a guest has to know: anybody may come in */
};

/* 0 or an error; it is closed at exec. */
int shl_door_open(struct shl_door *ret_door);
void shl_door_close(const struct shl_door *door);

/* Hands a descriptor into a process's door. 0; -EAGAIN: as many wait there as may, or it is just
 * being closed; -ENOENT: the process has no such door, or is not to be reached; or an error. Never
 * waits. */
int shl_door_hand(uint32_t number, pid_t pid, uint64_t secret, int fd);

/* The oldest that was handed in, closed at exec, and how many guests have gone thereby, who made
 * room for others. -EAGAIN: there is none, or one is just being handed in by the process `from` (0:
 * nobody), or SHL_DOOR_GUESTS_MAX had nothing and there may be more; or an error, after which it is
 * still there. Never waits. */
int shl_door_take(struct shl_door *door, pid_t from, unsigned *ret_gone, int *ret_fd);

#endif

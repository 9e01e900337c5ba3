/* Process objects, and this process's table of its own children. */
#ifndef SHL_PROC_PROCESS_H
#define SHL_PROC_PROCESS_H

#include "mem/object.h"
#include "os/child.h"
#include "proc/hooks.h"
#include "proc/process_shm.h"

#include <shoal/process.h>

/* A child described here, and perhaps started. The table is locked while it is read or changed. */
struct shl_child {
    uint64_t ref;
    void (*target)(void *);
    uint64_t argument, setup; /* its blocks' payloads, as offsets; 0: none */
    enum shoal_start_method method;
    uint32_t fds_count;
    int fds[SHOAL_PROCESS_FDS_MAX]; /* the child is given these */
    pid_t pid;                      /* as it was started: the object's may be overwritten */
    int pidfd;                      /* -1: not started */
    unsigned users;                 /* threads that poll the descriptor without the lock */
    bool starting;                  /* a thread waits for it without the table's lock */
    bool ended;                     /* reaped */
    bool closing;                   /* the last user closes it */
    bool auto_close;
    int told; /* the last signal of its creator's exit */
};

/* This program once more, which forks children on request: start_server.c. */
struct shl_server {
    pid_t pid; /* 0: none */
    int pidfd, channel;
    int next;  /* the channel of the child that it was asked for; 0: of none */
    bool used; /* it has been asked for one before: others will be wanted */
    uid_t uid; /* as whom it was started */
    gid_t gid;
};

struct shl_children {
    struct shl_child *list;
    size_t count, capacity;
    bool used; /* somebody was described here: there may be children, and a server */
    struct shl_lifeline lifeline; /* what the children of this process hang on, and */
    struct shl_server server;     /* the server: whose lock is that of starts */
    struct shl_finalizers finalizers;
};

/* Locks the table, emptied first if it is the parent's; NULL with an error. */
struct shl_children *shl_children_lock(void);
void shl_children_unlock(void);

/* One thread starts at a time, and waits without the table's lock: who is stopped on its way holds
 * up other starts, and no other call. Only after the table was locked once. */
void shl_starts_lock(void);
bool shl_starts_try_lock(void);
void shl_starts_unlock(void);

/* Before this process takes its first slot: shl_process_begins. */
void shl_process_attaches(void);

/* With starts locked: the pipe that the children of this process hang on. 0 or an error. */
int shl_children_open_lifeline(struct shl_children *children);

/* With the table locked. A pointer into it is good until the table changes. */
int shl_children_add(struct shl_children *children, const struct shl_child *child);
struct shl_child *shl_children_find(struct shl_children *children, uint64_t ref);
void shl_children_remove(struct shl_children *children, struct shl_child *child);

/* 0, or -ENOTSUP: a process is waited for by its descriptor, which no event can end. */
int shl_join_check(shoal_deadline deadline);

/* Reaps the child if it ended: true if it is known to have ended. With the table locked. */
bool shl_child_look(struct shl_child *child, struct process_shm *process);

/* shoal_init_options.daemons_without_children, of the whole line. */
extern SHL_HIDDEN bool shl_daemons_childless;

/* Runs its target, or the run() of its type, as its flags (process_shm.h) say. */
void shl_process_call(shoal_process self, uint32_t flags, void (*target)(void *), void *argument);

/* Closes those that ended and whose handles nobody will close. */
void shl_children_drop_auto_closed(struct shl_children *children);

/* The object behind a handle; NULL with an error. */
struct process_shm *shl_process_find(shoal_process handle, struct shl_segment **ret_segment);

/* The same for calls of its creator alone. */
struct process_shm *shl_process_find_own(shoal_process handle, struct shl_segment **ret_segment);

/* One that nobody sees yet, all zero but for its creator; NULL with an error. */
struct process_shm *shl_process_new(const struct shl_segment *segment, uint32_t creator_pid);

/* In a child that may outlive its creator: the object will be its own then. 0 or an error. */
int shl_process_inherit(const struct shl_segment *segment, struct process_shm *process);

/* A process's object goes with the one who created it, unless it has an heir. */
extern SHL_HIDDEN const struct shl_settler shl_process_settler;

/* The exit hook of a program, and whether it does anything. 0 or an error. */
int shl_exit_hook(void);
void shl_exit_hook_enable(bool enabled);

/* That of a child that begins. `inherited`: the hooks there are so far are its parent's. Answers
 * 0 or -ENOMEM. */
int shl_exit_hook_child(bool inherited);

#endif

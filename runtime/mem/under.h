/*
 * Purpose. Payloads under others: they move, are shared and are freed with their parent.
 *
 * Protocol. A child's word says UNDER its parent, by place and generation, and need not change when
 * the parent moves. No parent is itself under another: what is allocated under a child is a child
 * of its parent. So one look at the parent's word decides whether a child lives.
 *
 *   alloc_under  the child OWNED, as any other; named in the parent's table; UNDER
 *   free         each child UNDER -> OWNED, by compare-and-set, and freed; the tables likewise;
 *                then the parent
 *
 * Death. Only the owner of a parent allocates and frees under it. Killed anywhere, the parent is
 * his or free; whoever settles frees it, and every child whose parent is free or used again.
 */
#ifndef SHL_MEM_UNDER_H
#define SHL_MEM_UNDER_H

#include "mem/alloc.h"

/* The parent of a child, and its word; false (no error told) if it is no more. By `owner`, who
 * looks at it meanwhile (shl_place_look; 0: it cannot go). */
bool shl_under_parent(const struct shl_segment *segment, uint32_t owner, uint64_t own,
                      struct shl_place *ret_parent, uint64_t *ret_own);

/* What was asked for when the payload was allocated. */
uint64_t shl_under_size(const struct shl_place *payload);
/* Likewise of what others may free meanwhile, by its header. */
uint64_t shl_under_size_seen(const struct shl_segment *segment, uint32_t owner, uint64_t offset,
                             uint64_t meta);

/* Calls it for all that is under a payload of the caller's, also the library's own tables of that;
 * it may free them. */
void shl_under_visit(const struct shl_place *parent,
                     void (*visitor)(void *context, const struct shl_place *child, bool is_table),
                     void *context);

/* Frees all that is under a payload of the caller's. */
void shl_under_free(const struct shl_place *parent, struct shl_attachment *self);

/* Frees one of them. 0; or an error, as the parent is not the caller's. */
int shl_under_free_child(const struct shl_place *child, uint64_t own,
                         const struct shl_attachment *self);

#endif

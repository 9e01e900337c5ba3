/* Payloads that several processes hold, and payloads under others. */
#include "memory.h"

#include <errno.h>
#include <shoal/stats.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

TestSuite(share, .timeout = 60);

static shoal_audit begin(void)
{
    shoal_free(shoal_alloc(1));
    return memory_audit((shoal_segment){ 0 });
}

/* --- under ---------------------------------------------------------------------------------- */

enum { CHILDREN = 500 };

/* A parent that names its children, each of which says its number. */
struct parent {
    unsigned count;
    unsigned *children[CHILDREN];
};

static struct parent *parent_new(unsigned count)
{
    struct parent *parent = shoal_alloc(sizeof *parent);
    parent->count = count;
    for (unsigned i = 0; i < count; i++) {
        parent->children[i] = shoal_alloc_under(parent, sizeof(unsigned) + i % 300);
        if (parent->children[i])
            *parent->children[i] = i;
    }
    return parent;
}

static bool parent_holds(const struct parent *parent, unsigned count)
{
    bool good = shoal_size(parent) == sizeof *parent && parent->count == count;
    for (unsigned i = 0; good && i < count; i++)
        good = parent->children[i] && *parent->children[i] == i &&
               shoal_size(parent->children[i]) == sizeof(unsigned) + i % 300;
    return good;
}

Test(share, what_is_under_a_payload_is_freed_with_it, .timeout = 60)
{
    const shoal_audit before = begin();
    static const unsigned counts[] = { 0, 1, 12, 13, 14, 40, 200, CHILDREN };
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct parent *parent = parent_new(counts[i]);
        cr_assert(parent_holds(parent, counts[i]), "%u", counts[i]);
        const shoal_audit now = memory_audit((shoal_segment){ 0 });
        cr_assert_eq(now.payloads_count, before.payloads_count + 1);
        cr_assert_gt(now.owned, before.owned + counts[i] * 32);
        unsigned *first = counts[i] > 0 ? parent->children[0] : NULL;
        shoal_free(parent);
        cr_assert(!first || shoal_size(first) == 0);
        memory_assert_same((shoal_segment){ 0 }, &before);
    }
}

Test(share, large_ones_too, .timeout = 60)
{
    const shoal_audit before = begin();
    char *parent = shoal_alloc(5 << 20), *child = shoal_alloc_under(parent, 3 << 20);
    cr_assert(parent && child);
    memset(parent, 1, 5 << 20);
    memset(child, 2, 3 << 20);
    cr_assert_eq(shoal_size(parent), 5 << 20);
    cr_assert_eq(shoal_size(child), 3 << 20);
    shoal_free(parent);
    cr_assert_eq(shoal_size(child), 0);
    memory_assert_same((shoal_segment){ 0 }, &before);
}

Test(share, a_child_may_go_first, .timeout = 60)
{
    const shoal_audit before = begin();
    struct parent *parent = parent_new(20);
    for (unsigned round = 0; round < 1000; round++) { /* the tables do not grow for it */
        unsigned *child = shoal_alloc_under(parent, 100);
        cr_assert_not_null(child);
        shoal_free(child);
        cr_assert_eq(shoal_size(child), 0);
    }
    cr_assert_lt(memory_audit((shoal_segment){ 0 }).owned, before.owned + (64 << 10));
    cr_assert(parent_holds(parent, 20));
    shoal_free(parent->children[3]);
    cr_assert_eq(shoal_size(parent->children[3]), 0);
    shoal_free(parent);
    memory_assert_same((shoal_segment){ 0 }, &before);
}

Test(share, under_a_child_is_under_its_parent, .timeout = 60)
{
    const shoal_audit before = begin();
    char *parent = shoal_alloc(10), *child = shoal_alloc_under(parent, 10);
    char *grandchild = shoal_alloc_under(child, 10);
    cr_assert(child && grandchild);
    shoal_free(child);
    cr_assert_eq(shoal_size(grandchild), 10);
    shoal_free(parent);
    cr_assert_eq(shoal_size(grandchild), 0);
    memory_assert_same((shoal_segment){ 0 }, &before);
}

static int gets_and_frees(void *argument)
{
    const shoal_queue *queue = argument;
    void *message;
    CHILD_CHECK(shoal_queue_get(*queue, &message, harness_deadline()) == 0);
    CHILD_CHECK(parent_holds(message, 40));
    unsigned *more = shoal_alloc_under(message, 10);
    CHILD_CHECK(more);
    shoal_free(message);
    CHILD_CHECK(shoal_size(more) == 0);
    return 0;
}

Test(share, what_is_under_a_message_goes_with_it_1_10_1, .timeout = 60)
{
    shoal_queue queue;
    assert_code(shoal_queue_create(NULL, &queue), 0);
    const shoal_audit before = begin();
    struct parent *parent = parent_new(40);
    assert_code(shoal_queue_put(queue, parent->children[7], SHOAL_NOW), -EPERM);
    assert_code(shoal_queue_put(queue, parent, SHOAL_NOW), 0);
    cr_assert_null(shoal_alloc_under(parent, 1));
    shoal_free(parent->children[7]); /* of a queue now */
    cr_assert(parent_holds(parent, 40));
    const shoal_audit queued = memory_audit((shoal_segment){ 0 });
    cr_assert_eq(queued.owned, before.owned);
    cr_assert_gt(queued.queued, before.queued + sizeof *parent + 40 * 16);
    cr_assert_eq(harness_wait(harness_child(gets_and_frees, &queue)), 0);
    cr_assert_null(shoal_alloc_under(parent, 1));
    assert_code(shoal_queue_put(queue, parent_new(30), SHOAL_NOW), 0);
    assert_code(shoal_queue_destroy(queue), 0);
    cr_assert_eq(memory_audit((shoal_segment){ 0 }).owned, before.owned);
    cr_assert_eq(memory_audit((shoal_segment){ 0 }).queued, 0);
}

Test(share, alloc_under_refuses_what_is_no_parent, .timeout = 60)
{
    char on_stack[16];
    char *payload = shoal_alloc(100);
    cr_assert_null(shoal_alloc_under(NULL, 1));
    cr_assert_null(shoal_alloc_under(on_stack, 1));
    cr_assert_null(shoal_alloc_under(payload + 16, 1));
    cr_assert_null(shoal_alloc_under(payload, SIZE_MAX));
    shoal_free(payload);
    cr_assert_null(shoal_alloc_under(payload, 1));
}

/* --- shared --------------------------------------------------------------------------------- */

static struct {
    struct parent *payload;
    _Atomic int held, leave;
} * board;

static int holds_until_told(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_share(board->payload) == 0);
    board->held++;
    CHILD_CHECK(harness_until(board->leave));
    CHILD_CHECK(parent_holds(board->payload, 30));
    CHILD_CHECK(shoal_unshare(board->payload) == 0);
    CHILD_CHECK(shoal_unshare(board->payload) != 0);
    return 0;
}

Test(share, the_last_of_several_holders_frees, .timeout = 60)
{
    enum { HOLDERS = 8 };
    pid_t pids[HOLDERS];
    const shoal_audit before = begin();
    board = harness_shared(sizeof *board);
    board->payload = parent_new(30);
    assert_code(shoal_share(board->payload), 0);
    for (int i = 0; i < HOLDERS; i++)
        pids[i] = harness_child(holds_until_told, NULL);
    cr_assert(harness_until(board->held == HOLDERS));
    shoal_free(board->payload); /* as shoal_unshare() */
    assert_code(shoal_unshare(board->payload), -EPERM);
    cr_assert(parent_holds(board->payload, 30));
    const shoal_audit shared = memory_audit((shoal_segment){ 0 });
    cr_assert_eq(shared.owned, before.owned);
    cr_assert_gt(shared.shared, before.shared + sizeof *board->payload + 30 * 16);
    cr_assert_eq(shared.payloads_count, before.payloads_count + 1);
    shoal_holder holders[HOLDERS + 2];
    cr_assert_eq(shoal_segment_holders((shoal_segment){ 0 }, holders, HOLDERS + 2), HOLDERS);
    cr_assert_eq(holders[0].shared, shared.shared);
    cr_assert_eq(holders[HOLDERS - 1].payloads_count, 1);
    board->leave = 1;
    for (int i = 0; i < HOLDERS; i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
    cr_assert_eq(shoal_size(board->payload), 0);
    const shoal_audit after = memory_audit((shoal_segment){ 0 });
    cr_assert_eq(after.shared, before.shared);
    cr_assert_eq(after.payloads_count, before.payloads_count);
}

Test(share, a_process_holds_as_often_as_it_shared, .timeout = 60)
{
    const shoal_audit before = begin();
    char *payload = shoal_alloc(100);
    assert_code(shoal_unshare(payload), -EPERM);
    for (int i = 0; i < 3; i++)
        assert_code(shoal_share(payload), 0);
    cr_assert_eq(memory_audit((shoal_segment){ 0 }).payloads_count, before.payloads_count + 1);
    shoal_holder holder;
    cr_assert_eq(shoal_segment_holders((shoal_segment){ 0 }, &holder, 1), 1);
    cr_assert_eq(holder.payloads_count, 1);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(shoal_size(payload), 100);
        cr_assert_eq(shoal_deref(shoal_ref_of(payload)), payload);
        assert_code(shoal_unshare(payload), 0);
    }
    cr_assert_eq(shoal_size(payload), 0);
    assert_code(shoal_unshare(payload), -EPERM);
    assert_code(shoal_share(payload), -EFAULT);
    memory_assert_same((shoal_segment){ 0 }, &before);
}

Test(share, what_cannot_be_shared_is_told, .timeout = 60)
{
    shoal_queue queue;
    char on_stack[16], *payload = shoal_alloc(100);
    assert_code(shoal_queue_create(NULL, &queue), 0);
    assert_code(shoal_share(NULL), -EINVAL);
    assert_code(shoal_unshare(NULL), -EINVAL);
    assert_code(shoal_share(on_stack), -EFAULT);
    assert_code(shoal_share(payload + 16), -EFAULT);
    char *child = shoal_alloc_under(payload, 5);
    assert_code(shoal_share(child), -EPERM);
    assert_code(shoal_queue_put(queue, payload, SHOAL_NOW), 0);
    assert_code(shoal_share(payload), -EPERM);
    void *message;
    assert_code(shoal_queue_get(queue, &message, SHOAL_NOW), 0);
    assert_code(shoal_share(payload), 0);
    cr_assert_null(shoal_alloc_under(payload, 1));
    assert_code(shoal_unshare(payload), 0);
    cr_assert_eq(shoal_size(child), 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

static int shares_for_ever(void *argument)
{
    CHILD_CHECK(shoal_share(board->payload) == 0);
    board->held++;
    return harness_pauses(argument);
}

/* The limit stands in the header's comment. */
Test(share, of_256_shares_one_more_is_refused, .timeout = 120)
{
    static pid_t pids[256];
    board = harness_shared(sizeof *board);
    board->payload = parent_new(3);
    assert_code(shoal_share(board->payload), 0);
    for (int i = 0; i < 255; i++) {
        pids[i] = harness_child(shares_for_ever, NULL);
        cr_assert(harness_until(board->held == i + 1));
    }
    assert_code(shoal_share(board->payload), -EUSERS);
    for (int i = 0; i < 255; i++)
        kill(pids[i], SIGKILL);
    for (int i = 0; i < 255; i++)
        cr_assert_eq(harness_wait(pids[i]), -SIGKILL);
    cr_assert(parent_holds(board->payload, 3));
    assert_code(shoal_unshare(board->payload), 0);
}

/* --- misuse names the owner ----------------------------------------------------------------- */

static int owns(void *argument)
{
    board->payload = shoal_alloc(100);
    board->held = 1;
    return harness_pauses(argument);
}

/* 2.24: free by another process. */
Test(share, misuse_names_the_owner, .timeout = 60)
{
    char pid[32], *own = shoal_alloc(10);
    board = harness_shared(sizeof *board);
    const pid_t child = harness_child(owns, NULL);
    cr_assert(harness_until(board->held));
    snprintf(pid, sizeof pid, "pid %d", (int)child);
    shoal_free(board->payload);
    cr_assert(strstr(shoal_error_message(), pid), "%s", shoal_error_message());
    assert_code(shoal_share(board->payload), -EPERM);
    cr_assert(strstr(shoal_error_message(), pid), "%s", shoal_error_message());
    shoal_free(own);
    shoal_free(own);
    cr_assert(strstr(shoal_error_message(), "freed before"), "%s", shoal_error_message());
    kill(child, SIGKILL);
    cr_assert_eq(harness_wait(child), -SIGKILL);
}

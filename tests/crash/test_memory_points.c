/*
 * A process is killed at each step of the allocator and of queues, and whoever settles it may be
 * killed at each of his. Then every byte is where it was before, and every message that was put is
 * there once.
 */
#include "deeds.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

TestSuite(memory_points, .timeout = 300);

static void has_a_queue(void)
{
    void *payload;
    const shoal_queue_options options = { .segment = segment, .capacity_count = 4, .bulk = dense };
    CHILD_CHECK(shoal_queue_create(&options, &board->own) == 0);
    for (int i = 0; i < 2; i++)
        CHILD_CHECK(shoal_queue_put(board->own, payload_new(100), SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_queue_get(board->own, &payload, SHOAL_NOW) == 0);
    shoal_free(payload);
    CHILD_CHECK(shoal_queue_destroy(board->own) == 0);
}

/* Blocks of many classes, runs that come and go, chunks. */
static int lives(void)
{
    static const size_t sizes[] = { 16, 100, 1000, 20000, 300000, 3 << 20 };
    void *held[COUNT_OF(sizes)][40];
    has_a_queue();
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (size_t k = 0; k < (sizes[i] < 30000 ? 40 : 3); k++)
            held[i][k] = payload_new(sizes[i]);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (size_t k = 0; k < (sizes[i] < 30000 ? 40 : 3); k++)
            shoal_free(held[i][k]);
    memory_give_back(segment);
    return 0;
}

static int attaches_and_settles(void)
{
    shoal_free(shoal_alloc_in(segment, 1));
    shl_peer_recover_all(inside());
    return 0;
}

static const char *const points[] = {
    "pages.taken",
    "pages.pages_taken",
    "pages.published",
    "pages.owned",
    "pages.chunk_emptied",
    "pages.chunk_left",
    "pages.decommitted",
    "pages.purging",
    "pages.purged",
    "runs.added",
    "runs.owner",
    "runs.taken",
    "runs.giving",
    "runs.given",
    "runs.some",
    "runs.retiring",
    "runs.retired",
    "alloc.owned",
    "alloc.kept",
    "alloc.large",
    "object.published",
    "object.ended",
    "queue.journal",
    "queue.sending",
    "queue.put",
    "queue.taken",
    "queue.owned",
    "ring.P2",
    "ring.P3",
    "ring.P4",
    "ring.P5",
    "ring.P6",
    "cells.P1",
    "cells.P4",
    "cells.P5",
    "cells.ended",
};
static const unsigned passes[] = { 0, 1, 2, 5, 12, 30 };

static void every_byte_comes_back(void)
{
    make_board();
    for (size_t i = 0; i < COUNT_OF(points); i++)
        for (size_t k = 0; k < COUNT_OF(passes) && is_passed(points[i]); k++) {
            const struct deed deed = { lives, points[i], passes[k] };
            if (!dies(&deed))
                cr_assert_neq(k, 0, "nobody comes to %s", points[i]);
            assert_settled(&deed, 0);
        }
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

Test(memory_points, every_byte_comes_back_whoever_is_killed_where_2_24, .timeout = 300)
{
    every_byte_comes_back();
    dense = true;
    every_byte_comes_back();
}

static int gives_runs(void)
{
    void *held[150]; /* more than one chunk of them */
    for (size_t i = 0; i < COUNT_OF(held); i++)
        held[i] = payload_new(20000);
    for (size_t i = 0; i < COUNT_OF(held); i++)
        shoal_free(held[i]);
    memory_give_back(segment);
    return 0;
}

/* Their last blocks are free for all to see, but not that a run is empty. */
static const char *problem_of_giving_runs(void)
{
    struct deed deed = { gives_runs, "runs.given", 0 };
    const char *problem = "nobody comes to the point";
    for (; dies(&deed); deed.passes++)
        if ((problem = first_problem(0)))
            return problem;
    return problem;
}

Test(memory_points, runs_go_back_whose_last_giver_was_killed, .timeout = 120)
{
    make_board();
    shl_mistake = "runs.told";
    cr_expect(problem_of_giving_runs());
    shl_mistake = NULL;
    const char *problem = problem_of_giving_runs();
    cr_assert(!problem, "%s", problem);
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* Killed when pages had just gone back to the system, but were not free yet: how much is used
 * without memory once all pages are used. */
static int64_t used_without_memory(void)
{
    enum { COUNT = 10000, SIZE = 7000 /* in runs of one page */ };
    static void *payloads[COUNT];
    size_t count = 0;
    const int64_t least = memory_missing(segment);
    cr_assert(dies(&(struct deed){ lives, "pages.purged", 0 }));
    shl_peer_recover_all(inside());
    while (count < COUNT && (payloads[count] = shoal_alloc_in(segment, SIZE)))
        count++;
    cr_assert_lt(count, COUNT);
    const int64_t missing = memory_missing(segment) - least;
    while (count-- > 0)
        shoal_free(payloads[count]);
    memory_give_back(segment);
    return missing;
}

Test(memory_points, pages_that_a_dead_one_had_get_memory_before_use, .timeout = 120)
{
    make_board();
    cr_assert_leq(used_without_memory(), 0);
    shl_mistake = "pages.holes";
    cr_expect_gt(used_without_memory(), 0, "pages.holes is not found");
    shl_mistake = NULL;
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* Also at points of his own work in the memory of the dead. */
static const char *const settler_points[] = { "peer.R2",    "peer.R3",           "peer.R4",
                                              "peer.R5",    "pages.decommitted", "pages.owned",
                                              "alloc.kept", "object.finished" };

static void settler_dies(const struct deed *deed, const struct deed *settling)
{
    const bool died = dies(deed), settler_died = dies(settling);
    const bool always = strncmp(settling->point, "peer.", 5) == 0;
    cr_assert(!died || settler_died || !always, "nobody comes to %s", settling->point);
    /* Who had no slot could not finish objects that had ended: the next death gives occasion. */
    cr_assert(dies(&(struct deed){ lives, "alloc.owned", 0 }));
    assert_settled(deed, 0);
}

static void settlers_die(int (*settler)(void))
{
    make_board();
    for (size_t i = 0; i < COUNT_OF(points); i++)
        for (size_t k = 0; k < COUNT_OF(settler_points); k++)
            for (unsigned pass = 0; pass <= 3; pass += 3)
                settler_dies(&(struct deed){ lives, points[i], pass },
                             &(struct deed){ settler, settler_points[k], 0 });
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

Test(memory_points, a_settler_without_a_slot_is_killed_and_the_next_one_goes_on, .timeout = 300)
{
    settlers_die(settles);
}

Test(memory_points, a_settler_with_a_slot_is_killed_and_the_next_one_goes_on, .timeout = 300)
{
    settlers_die(attaches_and_settles);
}

/* --- who leaves ---------------------------------------------------------------------------- */

static int leaves(void)
{
    for (size_t size = 16; size < 6 << 20; size *= 16)
        payload_new(size);
    CHILD_CHECK(shoal_queue_put(board->queue, payload_new(1000), SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_segment_detach(segment) == 0);
    return 0;
}

/* What it owned is freed, also if it is killed on its way out; what it has put stays. */
Test(memory_points, a_process_that_detaches_leaves_nothing_behind, .timeout = 300)
{
    const struct deed in_peace = { leaves, "peer.R5", 0 }, killed = { leaves, "peer.left", 0 };
    void *payload;
    make_board();
    cr_assert_not(dies(&in_peace));
    cr_assert_eq(memory_audit(segment).payloads_count, 1);
    assert_code(shoal_queue_get(board->queue, &payload, SHOAL_NOW), 0);
    shoal_free(payload);
    assert_settled(&in_peace, 0);
    cr_assert(dies(&killed), "nobody comes to %s", killed.point);
    assert_settled(&killed, 1);
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- two settlers --------------------------------------------------------------------------- */

static int settles_and_stops(void *point)
{
    shl_chaos_plan(&(struct shl_chaos_plan){ point, SHL_CHAOS_STALL, 0, stalled, released });
    return settles();
}

static int attaches_settles_and_stops(void *point)
{
    shl_chaos_plan(&(struct shl_chaos_plan){ point, SHL_CHAOS_STALL, 0, stalled, released });
    return attaches_and_settles();
}

/* The dead one had taken chunks. While one settler is stopped over them, somebody else settles the
 * same death, and uses whatever memory there is. */
Test(memory_points, a_stopped_settler_does_no_harm_when_he_goes_on, .timeout = 300)
{
    const struct deed deed = { lives, "pages.taken", 2 };
    make_board();
    cr_assert(dies(&deed));
    const pid_t settler = settler_stopped_at(settles_and_stops, "pages.decommitted");
    shl_peer_recover_all(inside());
    unsigned char *payloads[64];
    size_t count = 0;
    while (count < 64 && (payloads[count] = shoal_alloc_in(segment, 1 << 20)))
        memset(payloads[count++], 7, 1 << 20);
    settler_goes_on(settler);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(shoal_size(payloads[i]), 1 << 20, "payload %zu is gone", i);
        cr_assert_eq(payloads[i][5000], 7, "payload %zu", i);
        shoal_free(payloads[i]);
    }
    assert_settled(&deed, 0);
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* The kernel does not find the list of what it holds, as if the list's memory were gone. */
static int dies_unmarked(void *argument)
{
    (void)argument;
    struct robust_list_head none = { .list = { &none.list } };
    payload_new(1000);
    CHILD_CHECK(syscall(SYS_set_robust_list, &none, sizeof none) == 0);
    return raise(SIGKILL);
}

static void *owns_one(void *argument)
{
    payload_new(1000);
    return argument;
}

/* Its thread has left; what the process owns is the process's. */
static int dies_without_threads(void *argument)
{
    pthread_t thread;
    CHILD_CHECK(pthread_create(&thread, NULL, owns_one, argument) == 0);
    CHILD_CHECK(pthread_join(thread, NULL) == 0);
    return raise(SIGKILL);
}

/* Neither life elects a settler by itself. */
Test(memory_points, nobody_settles_what_a_stopped_settler_has_begun, .timeout = 300)
{
    static int (*const ways[])(void *) = { dies_unmarked, dies_without_threads };
    make_board();
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        cr_assert_eq(harness_wait(harness_child(ways[i], NULL)), -SIGKILL);
        const pid_t settler = settler_stopped_at(attaches_settles_and_stops, "peer.R3");
        shl_peer_recover_all(inside());
        cr_assert_gt(memory_audit(segment).lost, 0, "way %zu: settled twice", i);
        settler_goes_on(settler);
        assert_settled(&(struct deed){ NULL, "peer.R3", 0 }, 0);
    }
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

static int tells_its_owner_and_dies(void *owner)
{
    shoal_free(shoal_alloc_in(segment, 1));
    *(uint32_t *)owner = shl_self(inside())->process_owner;
    return raise(SIGKILL);
}

/* A settler is stopped before a large block of somebody alive, who frees it. In a larger one there
 * lies what looks like the header of a payload of the dead: true if it is left alone. */
static bool larger_block_is_left_alone(const char *mistake)
{
    uint32_t *owner = harness_shared(sizeof *owner);
    const size_t chunk = CHUNK_SIZE - PAYLOAD_LINE;
    void *before_it = shoal_alloc_in(segment, chunk), *block = shoal_alloc_in(segment, chunk);
    shoal_free(before_it);
    cr_assert_eq(harness_wait(harness_child(tells_its_owner_and_dies, owner)), -SIGKILL);
    const pid_t settler = settler_stopped_at(settles_and_stops, "alloc.settling");
    shl_mistake = mistake;
    shoal_free(block);
    char *larger = shoal_alloc_in(segment, 3 << 20);
    shl_mistake = NULL;
    cr_assert(larger && (!mistake || larger == before_it));
    const uint64_t own = block_own_make(BLOCK_OWNED, *owner, 0);
    uint64_t *place = (void *)(larger + ((char *)block - (char *)before_it) -
                               sizeof(struct block_shm));
    *place = own;
    settler_goes_on(settler);
    const bool left_alone = *place == own;
    shoal_free(larger);
    return left_alone;
}

Test(memory_points, a_late_settler_leaves_a_larger_block_alone, .timeout = 300)
{
    make_board();
    cr_expect(larger_block_is_left_alone(NULL));
    assert_settled(&(struct deed){ lives, "alloc.settling", 0 }, 0);
    cr_expect_not(larger_block_is_left_alone("pages.named"), "pages.named is not found");
    assert_settled(&(struct deed){ lives, "alloc.settling", 0 }, 0);
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* A queue's destroyer was killed. Who finishes it is stopped on his way; somebody else finishes it
 * too, and makes a queue in the same place: true if that one stays whole. */
static bool successor_of_a_queue_lives(const char *point)
{
    const shoal_queue_options options = { .segment = segment, .capacity_count = 8, .bulk = dense };
    shoal_queue queue;
    void *payload;
    cr_assert(dies(&(struct deed){ lives, "object.ended", 0 }));
    const shoal_queue dead = board->own;
    /* The first finisher is killed when he has left its sides. */
    cr_assert(dies(&(struct deed){ attaches_and_settles, "object.finished", 0 }));
    const pid_t settler = settler_stopped_at(attaches_settles_and_stops, point);
    cr_assert(dies(&(struct deed){ lives, "alloc.owned", 0 })); /* an occasion */
    shl_peer_recover_all(inside());
    shl_alloc_flush(inside(), shl_self(inside()));
    assert_code(shoal_queue_create(&options, &queue), 0);
    cr_assert_eq(shl_ref_offset(queue.ref), shl_ref_offset(dead.ref), "not the same place");
    settler_goes_on(settler);
    bool lives_on = true;
    for (size_t i = 0; i < 8; i++)
        lives_on = lives_on && shoal_queue_put(queue, shoal_alloc_in(segment, 56), SHOAL_NOW) == 0;
    for (size_t i = 0; i < 8 && lives_on; i++) {
        lives_on = shoal_queue_get(queue, &payload, SHOAL_NOW) == 0;
        shoal_free(lives_on ? payload : NULL);
    }
    shoal_queue_destroy(queue);
    return lives_on;
}

static const char *late_point(void)
{
    return dense ? "ring.P2" : "cells.closer";
}

static void late_finishers_leave_the_next_queue_alone(void)
{
    make_board();
    cr_expect(successor_of_a_queue_lives(late_point()));
    assert_settled(&(struct deed){ lives, late_point(), 0 }, 0);
    cr_expect(successor_of_a_queue_lives("object.finished"));
    assert_settled(&(struct deed){ lives, "object.finished", 0 }, 0);
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

Test(memory_points, a_late_finisher_of_a_queue_leaves_the_next_one_alone, .timeout = 300)
{
    late_finishers_leave_the_next_queue_alone();
    dense = true;
    late_finishers_leave_the_next_queue_alone();
}

/* --- a slot that two claim ------------------------------------------------------------------ */

static int attaches_and_stops(void *point)
{
    shl_chaos_plan(&(struct shl_chaos_plan){ point, SHL_CHAOS_STALL, 0, stalled, released });
    shoal_free(shoal_alloc_in(segment, 1));
    return 0;
}

/* One that was freed, but not given back, is not used. */
Test(memory_points, a_large_block_of_nobody_is_counted_as_free, .timeout = 120)
{
    shoal_size_class sizes[CLASSES_COUNT];
    make_board();
    cr_assert(dies(&(struct deed){ lives, "alloc.large", 0 }));
    const int count = shoal_segment_sizes(segment, sizes, CLASSES_COUNT);
    cr_assert_gt(count, 0);
    cr_assert_eq(sizes[count - 1].free_count, 1);
    cr_assert_eq(sizes[count - 1].used_count, 2);
    assert_settled(&(struct deed){ lives, "alloc.large", 0 }, 0);
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- who only counts ------------------------------------------------------------------------ */

static void counts_all(void)
{
    shoal_audit audit;
    shoal_segment_audit(segment, &audit);
}

static void counts_sizes(void)
{
    shoal_size_class sizes[1];
    CHILD_CHECK(shoal_segment_sizes(segment, sizes, 1) == 1);
}

static void counts_a_queue(void)
{
    shoal_queue_counters counters;
    CHILD_CHECK(shoal_queue_stats(board->queue, &counters) == 0);
}

/* In each there are so many looks before that at the large block, the segment's last one. */
static const struct count {
    void (*function)(void);
    unsigned passes;
} counts[] = { { counts_all, 3 }, { counts_sizes, 1 }, { counts_a_queue, 1 } };

static int counts_and_stops(void *argument)
{
    const struct count *count = argument;
    shoal_free(shoal_alloc_in(segment, 1));
    shl_chaos_plan(&(struct shl_chaos_plan){ "pages.naming", SHL_CHAOS_STALL, count->passes,
                                             stalled, released });
    count->function();
    return 0;
}

/* A large message is freed while another process is about to read its header: true if it stays
 * memory until then. */
static bool stays_until_it_is_counted(const struct count *count, const char *mistake)
{
    void *payload = shoal_alloc_in(segment, 5 << 20);
    assert_code(shoal_queue_put(board->queue, payload, SHOAL_NOW), 0);
    stalled = harness_shared(sizeof *stalled);
    released = harness_shared(sizeof *released);
    const uint64_t unused = memory_audit(segment).unused;
    const pid_t pid = harness_child(counts_and_stops, (void *)count);
    cr_assert(harness_until(atom_load_acquire(stalled))); /* acquire <- the child */
    assert_code(shoal_queue_get(board->queue, &payload, SHOAL_NOW), 0);
    shl_mistake = mistake;
    shoal_free(payload);
    shl_mistake = NULL;
    const bool stays = memory_audit(segment).unused == unused;
    settler_goes_on(pid);
    return stays;
}

Test(memory_points, what_somebody_counts_stays_memory, .timeout = 120)
{
    make_board();
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        cr_expect(stays_until_it_is_counted(&counts[i], NULL), "%zu", i);
        cr_expect_not(stays_until_it_is_counted(&counts[i], "pages.named"), "%zu", i);
        assert_settled(&(struct deed){ lives, "pages.naming", 0 }, 0);
    }
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- a run that is known -------------------------------------------------------------------- */

/* A payload is freed quickly as long as its run is known. The run goes, and where it was there is a
 * larger payload, in which the process itself has what looks like a header: 1 if that is taken for
 * one when the old payload is freed again. */
static int frees_what_was_a_payload(void *unused)
{
    (void)unused;
    enum { LARGER = 50000 };
    char *first = shoal_alloc(100), *old = shoal_alloc(100), *larger = NULL;
    shoal_free(first);
    shoal_free(old);
    memory_give_back((shoal_segment){ 0 });
    for (int i = 0; i < 100 && !(larger && old - larger > 16 && old - larger < LARGER); i++)
        larger = shoal_alloc(LARGER);
    CHILD_CHECK(old - larger > 16 && old - larger < LARGER);
    CHILD_CHECK(shoal_alloc(100)); /* the thread's hands have room for such blocks */
    struct block_shm *const block = shl_block(old);
    const uint64_t own = shl_self(shl_segment_family())->own_of_process;
    atom_store_relaxed(&block->own, own);
    atom_store_relaxed(&block->meta, 0);
    shoal_free(old);
    return atom_load_relaxed(&block->own) == own ? 0 : 1;
}

Test(memory_points, a_run_that_is_gone_is_not_taken_for_known, .timeout = 120)
{
    cr_expect_eq(harness_wait(harness_child(frees_what_was_a_payload, NULL)), 0);
    shl_mistake = "pages.given";
    cr_expect_eq(harness_wait(harness_child(frees_what_was_a_payload, NULL)), 1);
    shl_mistake = NULL;
}

/* Marks its slot, and is told when the other one, who may have written there, has gone on. */
static int keeps_its_start_time(void *step)
{
    enum { MARK = 12345 };
    shoal_free(shoal_alloc_in(segment, 1));
    const uint32_t slot = PEER_OWNER_SLOT(shl_self(inside())->process_owner);
    struct peer_shm *const own = shl_thread_peer(inside(), PEERS_MAX - 1) + 1 + slot;
    atom_store_relaxed(&own->start_time, MARK);
    *(_Atomic int *)step = 1;
    CHILD_CHECK(harness_until(*(_Atomic int *)step == 2));
    return atom_load_relaxed(&own->start_time) == MARK ? 0 : 1;
}

/* One is stopped while he claims a process's slot; the next one begins to look with the same. */
static int status_of_the_next_claimer(const char *mistake)
{
    const uint64_t hint = atom_load_relaxed(&inside()->shm->peer_hint);
    _Atomic int *step = harness_shared(sizeof *step);
    const pid_t first = settler_stopped_at(attaches_and_stops, "peer.claiming");
    atom_store_relaxed(&inside()->shm->peer_hint, hint);
    shl_mistake = mistake;
    const pid_t next = harness_child(keeps_its_start_time, step);
    shl_mistake = NULL;
    cr_assert(harness_until(*step == 1));
    settler_goes_on(first);
    *step = 2;
    return harness_wait(next);
}

Test(memory_points, a_late_claimer_leaves_the_slot_of_another_process_alone, .timeout = 120)
{
    make_board();
    cr_expect_eq(status_of_the_next_claimer(NULL), 0);
    cr_expect_eq(status_of_the_next_claimer("peer.claim"), 1);
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- mistakes ------------------------------------------------------------------------------- */

/* What the tests above would find. */
static const char *first_problem_of_all(void)
{
    for (size_t i = 0; i < COUNT_OF(points); i++)
        for (unsigned pass = 0; pass <= 3; pass += 3) {
            struct deed deed = { lives, points[i], pass };
            const int status = harness_wait(harness_child(does, &deed));
            if (status != 0 && status != -SIGKILL)
                return "a process fails that was not killed";
            const char *problem = first_problem(0);
            if (problem)
                return problem;
        }
    return "";
}

Test(memory_points, mistakes_are_found, .timeout = 300)
{
    static const char *const mistakes[] = { "runs.again", "pages.settled", "journal.written",
                                            "journal.settled", "object.settled" };
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        make_board();
        shl_mistake = mistakes[i];
        cr_expect(first_problem_of_all()[0], "%s is not found", mistakes[i]);
        shl_mistake = NULL;
        assert_code(shoal_segment_detach(segment), 0);
    }
    dense = true;
    make_board();
    shl_mistake = "object.finisher";
    cr_expect_not(successor_of_a_queue_lives(late_point()), "object.finisher is not found");
    shl_mistake = NULL;
    assert_code(shoal_segment_detach(segment), 0);
}

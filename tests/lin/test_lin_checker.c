/* The checks of histories can fail, and only where they must. */
#include "harness.h"
#include "history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

TestSuite(lin_checker, .timeout = 120);

struct example {
    bool right;
    const char *what, *text; /* as in a file: called returned track operation value result */
};

static struct history loaded(const char *text)
{
    struct history history;
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    cr_assert(file && history_load(file, &history), "no history: %s", text);
    fclose(file);
    return history;
}

typedef enum verdict (*checker)(const struct history *history, struct reason *ret_reason);

static void judge(const struct example *examples, size_t count, checker check)
{
    for (size_t i = 0; i < count; i++) {
        struct reason reason = { "" };
        struct history history = loaded(examples[i].text);
        const enum verdict verdict = check(&history, &reason);
        cr_expect_eq(verdict, examples[i].right ? RIGHT : WRONG, "%s: %s", examples[i].what,
                     reason.text);
        history_free(&history);
    }
}

/* --- queues: both checks say the same ------------------------------------------------------- */

static const struct example queues[] = {
    { true, "nothing", "queue 2\n" },
    { true, "one after the other",
      "queue 2\n1 2 0 put 7 ok\n3 4 1 get 7 ok\n5 6 1 get 0 timed-out" },
    { true, "a get returns first", "queue 2\n1 5 0 put 7 ok\n2 3 1 get 7 ok" },
    { false, "got before it was put", "queue 2\n1 2 1 get 7 ok\n3 4 0 put 7 ok" },
    { false, "never put", "queue 2\n1 2 1 get 7 ok" },
    { false, "got twice", "queue 2\n1 2 0 put 7 ok\n3 4 1 get 7 ok\n5 6 2 get 7 ok" },
    { false, "got twice at once", "queue 2\n1 2 0 put 7 ok\n3 5 1 get 7 ok\n4 6 2 get 7 ok" },
    { false, "the wrong order",
      "queue 2\n1 2 0 put 7 ok\n3 4 0 put 8 ok\n5 6 1 get 8 ok\n7 8 1 get 7 ok" },
    { true, "any order of puts at once",
      "queue 2\n1 4 0 put 7 ok\n2 3 1 put 8 ok\n5 6 2 get 7 ok\n7 8 2 get 8 ok" },
    { true, "any order of gets at once",
      "queue 2\n1 2 0 put 7 ok\n3 4 0 put 8 ok\n5 8 1 get 8 ok\n6 7 2 get 7 ok" },
    { false, "lost, and a later one was got",
      "queue 2\n1 2 0 put 7 ok\n3 4 0 put 8 ok\n5 6 1 get 8 ok" },
    { false, "lost, and it is empty", "queue 2\n1 2 0 put 7 ok\n3 4 1 get 0 timed-out" },
    { true, "empty, while it was put", "queue 2\n1 4 0 put 7 ok\n2 3 1 get 0 timed-out" },
    { false, "empty, though there was always one of two",
      "queue 2\n1 2 0 put 7 ok\n3 8 2 get 0 timed-out\n4 5 0 put 8 ok\n6 7 1 get 7 ok\n"
      "9 10 1 get 8 ok" },
    { true, "empty between two",
      "queue 2\n1 2 0 put 7 ok\n3 8 2 get 0 timed-out\n4 5 1 get 7 ok\n6 7 0 put 8 ok\n"
      "9 10 1 get 8 ok" },
    { false, "more than fit", "queue 1\n1 2 0 put 7 ok\n3 4 0 put 8 ok" },
    { true, "full", "queue 1\n1 2 0 put 7 ok\n3 4 0 put 8 timed-out" },
    { false, "full, though there was room", "queue 2\n1 2 0 put 7 ok\n3 4 0 put 8 timed-out" },
    { true, "full while one was got, or busy",
      "queue 1\n1 2 0 put 7 ok\n3 6 0 put 8 timed-out\n4 5 1 get 7 ok\n7 8 0 put 9 busy" },
    { false, "put after the shutdown", "queue 1\n1 2 0 shutdown 0 ok\n3 4 0 put 7 ok" },
    { false, "shut down by nobody", "queue 1\n1 2 0 put 7 shut-down" },
    { true, "shut down, drained, ended",
      "queue 2\n1 2 0 put 7 ok\n3 4 0 shutdown 0 ok\n5 6 0 put 8 shut-down\n7 8 1 get 7 ok\n"
      "9 10 1 get 0 shut-down" },
    { false, "ended before it was drained",
      "queue 2\n1 2 0 put 7 ok\n3 4 0 shutdown 0 ok\n5 6 1 get 0 shut-down\n7 8 1 get 7 ok" },
    { false, "waits after the shutdown", "queue 2\n1 2 0 shutdown 0 ok\n3 4 1 get 0 timed-out" },
    { false, "an answer it does not have", "queue 2\n1 2 0 get 0 -117" },
    { true, "killed: was put", "queue 2\n1 0 0 put 7 maybe\n1 2 0 die 0 ok\n3 4 1 get 7 ok" },
    { true, "killed: was not put",
      "queue 2\n1 0 0 put 7 maybe\n1 2 0 die 0 ok\n3 4 1 get 0 timed-out" },
    { false, "killed: got, though never begun", "queue 2\n2 0 0 put 8 maybe\n3 4 1 get 7 ok" },
    { false, "killed: got twice",
      "queue 2\n1 0 0 put 7 maybe\n1 2 0 die 0 ok\n3 4 1 get 7 ok\n5 6 1 get 7 ok" },
    { true, "killed: took it",
      "queue 2\n1 2 0 put 7 ok\n3 0 1 get 0 maybe\n3 4 1 die 0 ok\n5 6 0 get 0 timed-out" },
    { true, "killed: did not take it",
      "queue 2\n1 2 0 put 7 ok\n3 0 1 get 0 maybe\n3 4 1 die 0 ok\n5 6 0 get 7 ok" },
    { false, "killed: took two",
      "queue 2\n1 2 0 put 7 ok\n3 4 0 put 8 ok\n5 0 1 get 0 maybe\n5 6 1 die 0 ok\n"
      "7 8 0 get 0 timed-out" },
};

Test(lin_checker, search_judges_queues, .timeout = 120)
{
    judge(queues, COUNT_OF(queues), check_by_search);
}

Test(lin_checker, patterns_judge_queues, .timeout = 120)
{
    judge(queues, COUNT_OF(queues), check_fifo);
}

/* What only the search can tell: times within the life of the killed. */
Test(lin_checker, search_judges_what_patterns_cannot, .timeout = 120)
{
    static const struct example examples[] = {
        { false, "killed: was put after it had died",
          "queue 2\n1 0 0 put 7 maybe\n1 2 0 die 0 ok\n3 4 1 get 0 timed-out\n5 6 1 get 7 ok" },
        { false, "killed: took what was put later",
          "queue 2\n1 0 1 get 0 maybe\n1 2 1 die 0 ok\n3 4 0 put 7 ok\n5 6 0 get 0 timed-out" },
        { false, "killed: shut down later",
          "queue 2\n1 0 1 shutdown 0 maybe\n1 2 1 die 0 ok\n3 4 0 put 7 ok\n"
          "5 6 0 put 8 shut-down" },
    };
    judge(examples, COUNT_OF(examples), check_by_search);
}

/* --- locks, semaphores, events -------------------------------------------------------------- */

Test(lin_checker, search_judges_locks, .timeout = 120)
{
    static const struct example examples[] = {
        { true, "in turns",
          "lock 0\n1 2 0 acquire 0 ok\n3 6 1 acquire 0 ok\n4 5 0 release 0 ok\n"
          "7 8 1 release 0 ok" },
        { false, "two at once", "lock 0\n1 2 0 acquire 0 ok\n3 4 1 acquire 0 ok" },
        { true, "held", "lock 0\n1 2 0 acquire 0 ok\n3 4 1 acquire 0 timed-out" },
        { false, "held by nobody", "lock 0\n1 4 0 acquire 0 timed-out" },
        { false, "told of nobody's death",
          "lock 0\n1 2 0 acquire 0 ok\n3 4 1 acquire 0 owner-died" },
        { false, "released too often", "lock 0\n1 2 0 release 0 ok" },
        { true, "a holder dies, all are told until it is cleared",
          "lock 0\n1 2 0 acquire 0 ok\n2 3 0 die 0 ok\n4 5 1 acquire 0 owner-died\n"
          "6 7 1 release 0 ok\n8 9 2 acquire 0 owner-died\n10 11 2 clear-died 0 ok\n"
          "12 13 2 release 0 ok\n14 15 1 acquire 0 ok" },
        { false, "a holder dies and nobody is told",
          "lock 0\n1 2 0 acquire 0 ok\n2 3 0 die 0 ok\n4 5 1 acquire 0 ok" },
        { false, "a holder dies and keeps it",
          "lock 0\n1 2 0 acquire 0 ok\n2 3 0 die 0 ok\n4 5 1 acquire 0 timed-out" },
        { false, "cleared and told again",
          "lock 0\n1 2 0 acquire 0 ok\n2 3 0 die 0 ok\n4 5 1 acquire 0 owner-died\n"
          "6 7 1 clear-died 0 ok\n8 9 1 release 0 ok\n10 11 1 acquire 0 owner-died" },
        { true, "killed: had it",
          "lock 0\n1 0 0 acquire 0 maybe\n1 2 0 die 0 ok\n3 4 1 acquire 0 owner-died" },
        { true, "killed: had it not",
          "lock 0\n1 0 0 acquire 0 maybe\n1 2 0 die 0 ok\n3 4 1 acquire 0 ok" },
        { true, "killed: had released it, or not",
          "lock 0\n1 2 0 acquire 0 ok\n3 0 0 release 0 maybe\n3 6 0 die 0 ok\n"
          "4 5 1 acquire 0 ok\n7 8 1 release 0 ok" },
        { true, "recursive",
          "rlock 0\n1 2 0 acquire 0 ok\n3 4 0 acquire 0 ok\n5 6 0 release 0 ok\n"
          "7 8 1 acquire 0 timed-out\n9 10 0 release 0 ok\n11 12 1 acquire 0 ok\n"
          "13 14 0 release 0 not-mine" },
        { false, "recursive and released too early",
          "rlock 0\n1 2 0 acquire 0 ok\n3 4 0 acquire 0 ok\n5 6 0 release 0 ok\n"
          "7 8 1 acquire 0 ok" },
    };
    judge(examples, COUNT_OF(examples), check_by_search);
}

Test(lin_checker, search_judges_semaphores, .timeout = 120)
{
    static const struct example examples[] = {
        { true, "as many as there are",
          "semaphore 2\n1 2 0 acquire 0 ok\n3 4 1 acquire 0 ok\n5 6 2 acquire 0 timed-out\n"
          "7 8 0 value 0 ok" },
        { false, "one too many", "semaphore 1\n1 3 0 acquire 0 ok\n2 4 1 acquire 0 ok" },
        { false, "a release is lost",
          "semaphore 1\n1 2 0 acquire 0 ok\n3 4 0 release 0 ok\n5 6 1 acquire 0 timed-out" },
        { false, "a value it never had", "semaphore 1\n1 2 0 acquire 0 ok\n3 4 1 value 1 ok" },
        { true, "bounded", "bounded 1\n1 2 0 release 0 overflow\n3 4 0 acquire 0 ok" },
        { false, "above the bound", "bounded 1\n1 2 0 release 0 ok" },
        { false, "below the bound", "bounded 1\n1 2 0 acquire 0 ok\n3 4 0 release 0 overflow" },
        { true, "plain: the dead keep it",
          "semaphore 1\n1 2 0 acquire 0 ok\n2 3 0 die 0 ok\n4 5 1 acquire 0 timed-out" },
        { true, "owned: it comes back",
          "owned 1\n1 2 0 acquire 0 ok\n2 3 0 die 0 ok\n4 5 1 acquire 0 ok" },
        { false, "owned: it does not come back",
          "owned 1\n1 2 0 acquire 0 ok\n2 3 0 die 0 ok\n4 5 1 acquire 0 timed-out" },
        { false, "owned: it comes back twice",
          "owned 1\n1 2 0 acquire 0 ok\n3 0 0 release 0 maybe\n3 4 0 die 0 ok\n"
          "5 6 1 acquire 0 ok\n7 8 2 acquire 0 ok" },
    };
    judge(examples, COUNT_OF(examples), check_by_search);
}

Test(lin_checker, search_judges_events, .timeout = 120)
{
    static const struct example examples[] = {
        { true, "set, seen, cleared",
          "event 0\n1 2 0 set 0 ok\n3 4 1 wait 0 ok\n5 6 0 clear 0 ok\n7 8 1 is-set 0 ok" },
        { false, "not seen", "event 0\n1 2 0 set 0 ok\n3 4 1 is-set 0 ok" },
        { false, "not waited for", "event 0\n1 2 1 wait 0 ok" },
        { false, "a set is lost", "event 0\n1 2 0 set 0 ok\n3 4 1 wait 0 timed-out" },
        { true, "set and cleared while one waits",
          "event 0\n1 6 1 wait 0 ok\n2 3 0 set 0 ok\n4 5 0 clear 0 ok" },
        { true, "set and cleared, and he gave up before or after",
          "event 0\n1 6 1 wait 0 timed-out\n2 3 0 set 0 ok\n4 5 0 clear 0 ok" },
        { false, "waited for what had been cleared",
          "event 0\n1 2 0 set 0 ok\n3 4 0 clear 0 ok\n5 6 1 wait 0 ok" },
        { true, "killed: set or not",
          "event 0\n1 0 0 set 0 maybe\n1 2 0 die 0 ok\n3 4 1 wait 0 timed-out" },
        { false, "killed: set after its death",
          "event 0\n1 0 0 set 0 maybe\n1 2 0 die 0 ok\n3 4 1 is-set 0 ok\n5 6 1 is-set 1 ok" },
    };
    judge(examples, COUNT_OF(examples), check_by_search);
}

/* --- the two checks of queues against each other -------------------------------------------- */

/* Operations of three tracks at random times with random results, most of them nearly right. */
static struct history random_history(uint64_t *random, uint32_t killed)
{
    struct history history = { .model = &model_queue, .size = QUEUE_SEARCHED_MAX };
    uint32_t count = 4 + (uint32_t)(harness_random(random) % 5), open[3] = { 0 }, puts = 0;
    history.operations = calloc(count, sizeof *history.operations);
    cr_assert(history.operations);
    for (uint64_t time = 1; time < 4 * (uint64_t)count; time++) {
        const uint32_t track = (uint32_t)(harness_random(random) % 3);
        if (open[track] > 0 && track != killed) {
            history.operations[open[track] - 1].returned = time;
            open[track] = 0;
        } else if (open[track] == 0 && history.count < count) {
            const bool put = harness_random(random) % 2;
            const bool empty = !put && harness_random(random) % 4 == 0;
            history.operations[history.count++] = (struct operation){
                .called = time,
                .track = track,
                .verb = put ? PUT : GET,
                .value = put ? ++puts : 1 + (uint32_t)(harness_random(random) % (count / 2)),
                .result = empty ? -ETIMEDOUT : 0,
            };
            open[track] = history.count;
        }
    }
    history_sort(&history);
    return history;
}

/* The killed one's only operation, and what still runs at the end: true if there is none. */
static bool forget_unfinished(struct history *history)
{
    bool finished = true;
    for (uint32_t i = 0; i < history->count; i++)
        if (history->operations[i].returned == 0) {
            operation_forget(&history->operations[i]);
            finished = false;
        }
    return finished;
}

Test(lin_checker, patterns_and_search_agree, .timeout = 120)
{
    uint64_t random = harness_seed("patterns_and_search_agree");
    unsigned right = 0, wrong = 0;
    for (unsigned i = 0; i < 20000; i++) {
        const uint32_t killed = i % 2 ? 0 : 3;
        struct history history = random_history(&random, killed);
        const bool finished = forget_unfinished(&history);
        struct reason reason;
        const enum verdict searched = check_by_search(&history, &reason),
                           patterns = check_fifo(&history, &reason);
        /* Of what the killed did the patterns know less, but what they refuse is wrong. */
        if (searched != patterns && (finished || patterns == WRONG))
            history_print(&history, stderr);
        cr_assert(searched == patterns || (!finished && patterns == RIGHT), "%s", reason.text);
        right += searched == RIGHT;
        wrong += searched == WRONG;
        history_free(&history);
    }
    cr_assert_gt(right, 1000);
    cr_assert_gt(wrong, 1000);
}

/* --- shrinking and files -------------------------------------------------------------------- */

/* How many operations are left, and whether these are wrong. */
static uint32_t left_by_shrinking(const char *text)
{
    struct reason reason;
    struct history history = loaded(text);
    shrink(&history);
    cr_assert_eq(check_history(&history, &reason), WRONG);
    const uint32_t count = history.count;
    history_free(&history);
    return count;
}

Test(lin_checker, shrinking_leaves_what_is_wrong, .timeout = 120)
{
    cr_expect_eq(left_by_shrinking("queue 3\n1 2 0 put 1 ok\n3 4 1 get 1 ok\n5 6 0 put 2 ok\n"
                                   "7 8 0 put 3 ok\n9 10 2 get 0 busy\n11 12 1 get 3 ok\n"
                                   "13 14 2 get 2 ok\n15 16 0 put 4 ok\n17 18 1 get 4 ok"),
                 3); /* both puts and the get of 3 */
    cr_expect_eq(left_by_shrinking("lock 0\n1 2 0 acquire 0 ok\n3 4 0 release 0 ok\n"
                                   "5 6 1 acquire 0 ok\n7 8 2 acquire 0 ok"),
                 2);
    cr_expect_eq(left_by_shrinking("event 0\n1 2 0 set 0 ok\n3 4 1 clear 0 ok\n5 6 0 set 0 ok\n"
                                   "7 8 1 is-set 1 ok\n9 10 1 wait 0 timed-out\n"
                                   "11 12 0 clear 0 ok"),
                 2);
    cr_expect_eq(left_by_shrinking("bounded 2\n1 2 0 acquire 0 ok\n3 4 0 release 0 ok\n"
                                   "5 6 1 value 2 ok\n7 8 0 acquire 0 ok\n9 10 1 value 2 ok"),
                 2);
}

Test(lin_checker, a_saved_history_is_the_same, .timeout = 120)
{
    char *first = NULL, *second = NULL;
    size_t size;
    for (size_t i = 0; i < COUNT_OF(queues); i++) {
        struct history history = loaded(queues[i].text);
        FILE *file = open_memstream(&first, &size);
        history_print(&history, file);
        fclose(file);
        history_free(&history);
        history = loaded(first);
        file = open_memstream(&second, &size);
        history_print(&history, file);
        fclose(file);
        cr_assert_str_eq(first, second);
        history_free(&history);
        free(first);
        free(second);
    }
}

Test(lin_checker, what_is_no_history_is_refused, .timeout = 120)
{
    static const char *const texts[] = {
        "\n",
        "heap 3\n",
        "queue 2\n1 2 0 put",
        "queue 2\n5 2 0 put 7 ok",
        "queue 2\n1 2 16 put 7 ok",
        "queue 2\n1 2 0 push 7 ok",
        "queue 2\n0 2 0 put 7 ok",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct history history;
        FILE *file = fmemopen((void *)(uintptr_t)texts[i], strlen(texts[i]), "r");
        cr_assert_not(history_load(file, &history), "%s", texts[i]);
        fclose(file);
    }
}

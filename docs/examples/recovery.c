/* Recovery: whoever of the workers is killed, wherever, the books balance. Run it in a build with
 * -Dchaos=true as docs/chaos.md says, or kill workers by hand. */
#include <shoal.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 3, TRANSFERS = 1000 };

struct account {
    shoal_lock lock;
    long balance; /* guarded by it */
};

struct books {
    struct account from, to; /* together 0; who has both locks took that of `from` first */
};

struct arguments {
    struct books *books;
};

static void must(int code, const char *what)
{
    if (code < 0)
        shoal_fail("%s: %s", what, shoal_error_message());
}

static void receive(struct account *to)
{
    SHOAL_WITH(to->lock)
    {
        shoal_lock_clear_owner_died(to->lock); /* one number is never half changed */
        to->balance++;
    }
    else
    {
        shoal_fail("lock: %s", shoal_error_message());
    }
}

/* With the lock of `from`: true while there is something to do. */
static bool transfer(struct books *books)
{
    if (shoal_lock_owner_died(books->from.lock)) { /* its last holder may have done half of it: */
        books->from.balance = -books->to.balance;  /* make it whole, */
        shoal_lock_clear_owner_died(books->from.lock); /* and go on as if nothing had happened */
    }
    if (books->to.balance == TRANSFERS)
        return false;
    books->from.balance--;
    receive(&books->to);
    return true;
}

static void worker(void *argument)
{
    struct books *books = ((struct arguments *)argument)->books;
    for (bool more = true; more;)
        SHOAL_WITH(books->from.lock)
        {
            more = transfer(books);
        }
    else
    {
        shoal_fail("lock: %s", shoal_error_message());
    }
}

static void start(struct books *books, shoal_process *ret_process)
{
    struct arguments arguments = { books };
    must(shoal_process_start_new(
             &(shoal_process_options){ .target = worker, SHOAL_COPY_OF(arguments) }, ret_process),
         "start");
}

/* Answers how often it was killed, and another one started instead. */
static int join(struct books *books, shoal_process process)
{
    int killed = 0;
    for (;; killed++) {
        must(shoal_process_join(process, SHOAL_FOREVER), "join");
        const bool ended = shoal_process_exitcode(process) >= 0;
        shoal_process_close(process);
        if (ended)
            return killed;
        start(books, &process);
    }
}

int main(int argc, char **argv)
{
    shoal_process workers[WORKERS];
    must(shoal_init(&argc, &argv, NULL), "init");
    struct books *books = shoal_alloc(sizeof *books);
    if (!books)
        shoal_fail("alloc: %s", shoal_error_message());
    *books = (struct books){ 0 };
    must(shoal_lock_create(NULL, &books->from.lock), "lock");
    must(shoal_lock_create(NULL, &books->to.lock), "lock");

    int killed = 0;
    for (int i = 0; i < WORKERS; i++)
        start(books, &workers[i]);
    for (int i = 0; i < WORKERS; i++)
        killed += join(books, workers[i]);
    printf("%ld and %ld\n", books->from.balance, books->to.balance);
    if (killed > 0)
        printf("%d killed\n", killed);
    return books->from.balance + books->to.balance == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

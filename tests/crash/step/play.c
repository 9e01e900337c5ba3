/*
 * A play: the segment as the scenario has set it up, fresh processes, the victim brought to one
 * state of its operation, then the others, then the check. A level first surveys an operation in
 * single steps, which tells its distinct states, and then plays once for each of them. A state is
 * come back to by a breakpoint at its instruction, reached for the same time as in the survey:
 * everything is forked from one process, so that addresses and contents are the same.
 *
 * A state is what the others and the kernel can see: the segment, the robust list and what is
 * pending, how many system calls were made, and whether the process sleeps in one. Who else sleeps
 * is not part of it: states of recoverers that differ in that alone are visited once.
 */
#include "play.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../harness.h"
#include "image.h"
#include "mem/self.h"
#include "states.h"
#include "trace.h"
#include "validate.h"

enum { SEGMENT_SIZE = 32 << 20, STOPPED_DEADLINE_MS = 30 };

/* A wait that lasts longer was ended by the tick: nobody was woken. */
#define LATE_NS UINT64_C(500000000)

struct board *board;

shoal_deadline step_deadline(void)
{
    return board->stopped ? shoal_after_ms(STOPPED_DEADLINE_MS) : SHOAL_FOREVER;
}

int step_attach(void)
{
    return shl_self(&shl_segments[SHL_FAMILY]) ? 0 : shl_error_code();
}

int step_bury(void)
{
    for (enum role role = 0; role < ROLE_CHECKER; role++)
        if (board->killed[role] || (board->over && board->pids[role]))
            shl_self_bury(board->pids[role]);
    return 0;
}

void step_failed(const char *format, ...)
{
    va_list arguments;
    if (board->failures++ > 0)
        return;
    va_start(arguments, format);
    vsnprintf(board->failure, sizeof board->failure, format, arguments);
    va_end(arguments);
}

/* --- players -------------------------------------------------------------------------------- */

struct player {
    struct trace trace;
    enum trace_event event; /* the last one */
    bool there;
    bool done; /* its operation has ended, and not for want of time */
};

struct play {
    const struct scenario *scenario;
    struct player players[ROLES_COUNT];
    bool slowly; /* in single steps, so that who is woken by one has run before the next */
    unsigned late, missed, otherwise;
    uint64_t leaks; /* bytes */
    int deaths;
    bool hung;
};

/* A player's whole life: marks, acts, marks, and again if it is told to. */
static _Noreturn void player_runs(const struct actor *actor, enum role role, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(1);
    board->pids[role] = getpid();
    const int code = actor->prepare ? actor->prepare() : 0;
    if (code < 0)
        step_failed("player %d: its preparation answers %s", role, shoal_strerror(code));
    for (;;) {
        TRACE_HERE();
        if (board->over && role != ROLE_CHECKER)
            _exit(0);
        board->codes[role] = actor->act();
    }
}

/* States are told apart with process ids left out: none may look like an owner in a word. Nor may
 * one be shorter than the others, when ids begin anew: a path with it is written in fewer steps. */
static bool is_unsuited(pid_t pid)
{
    return ((uint32_t)pid & 0x3ff) < PEERS_MAX || pid < 10000;
}

static void player_begin(struct play *play, enum role role, const struct actor *actor)
{
    struct player *player = &play->players[role];
    const pid_t parent = getpid();
    pid_t pid;
    while ((pid = fork()) > 0 && is_unsuited(pid))
        waitpid(pid, NULL, 0);
    if (pid == 0 && is_unsuited(getpid()))
        _exit(0);
    if (pid == 0)
        player_runs(actor, role, parent);
    player->event = trace_begin(&player->trace, pid);
    player->there = true;
    if (player->event != TRACE_MARK)
        step_failed("player %d did not come to its operation", role);
}

static void player_dies(struct play *play, enum role role)
{
    board->killed[role] = true;
    board->deaths++;
    trace_kill(&play->players[role].trace);
    play->players[role].event = TRACE_ENDED;
}

/* After the event that ended its operation. */
static void player_acted(struct play *play, enum role role)
{
    struct player *player = &play->players[role];
    const int code = board->codes[role];
    const bool out_of_time = code == -ETIMEDOUT && board->stopped;
    player->done = player->event == TRACE_MARK && !out_of_time;
    if (player->event == TRACE_HUNG) {
        play->hung = true;
        step_failed("player %d hangs", role);
    } else if (player->event == TRACE_ENDED) {
        step_failed("player %d ended in its operation, by signal %d", role,
                    WTERMSIG(player->trace.status));
    } else if (code < 0 && !out_of_time) {
        step_failed("player %d: its operation answers %s", role, shoal_strerror(code));
    }
}

/* It was told to go on, or what it waits for was done, at that time. */
static void note_late(struct play *play, uint64_t began_ns)
{
    play->late += harness_now_ns() - began_ns > LATE_NS && !play->hung;
}

static enum turn turn_of(const struct play *play, enum role role)
{
    return play->scenario->actors[role].turn;
}

/* Its whole operation, without a look inside; not twice. */
static void player_acts(struct play *play, enum role role)
{
    struct player *player = &play->players[role];
    if (!player->there || player->event != TRACE_MARK || player->done || play->hung)
        return;
    const uint64_t began_ns = harness_now_ns();
    trace_resume(&player->trace);
    player->event = trace_wait(&player->trace, false);
    player_acted(play, role);
    note_late(play, began_ns);
}

/* Who sleeps may have been woken just now: it runs until it sleeps again or has acted, so that the
 * state is the same in every play. */
static void settle(struct play *play)
{
    for (enum role role = ROLE_SURVIVOR; role < ROLE_CHECKER; role++) {
        struct player *player = &play->players[role];
        if (player->event != TRACE_ASLEEP || turn_of(play, role) == TURN_BEHIND)
            continue;
        player->event = trace_wait(&player->trace, true);
        if (player->event != TRACE_ASLEEP)
            player_acted(play, role);
    }
}

/* --- one operation under the microscope ----------------------------------------------------- */

/* Acts until it sleeps. */
static void fall_asleep(struct play *play, enum role role)
{
    struct player *player = &play->players[role];
    trace_resume(&player->trace);
    player->event = trace_wait(&player->trace, true);
    if (player->event != TRACE_ASLEEP)
        player_acted(play, role);
}

static void those_beside_act(struct play *play)
{
    for (enum role role = ROLE_SURVIVOR; role < ROLE_CHECKER; role++)
        if (turn_of(play, role) == TURN_BESIDE && play->players[role].event == TRACE_MARK &&
            !play->players[role].done)
            fall_asleep(play, role);
}

/* It sleeps: what it waits for is done, and it goes on. */
static void wake(struct play *play, struct player *player)
{
    const bool to_do = play->players[ROLE_WAKER].there && !play->players[ROLE_WAKER].done;
    those_beside_act(play);
    player_acts(play, ROLE_WAKER);
    player->event = trace_wait(&player->trace, to_do);
    settle(play); /* the waker may have woken others as well */
}

static void step(struct play *play, struct player *player)
{
    const uint32_t syscalls = player->trace.syscalls;
    player->event = trace_step(&player->trace);
    if (syscalls != player->trace.syscalls)
        settle(play);
}

/* Steps through the whole operation and adds the states that are new. */
static void survey(struct play *play, enum role role, struct states *states)
{
    struct player *player = &play->players[role];
    states_begin();
    player->event = TRACE_STOPPED;
    while (player->event == TRACE_STOPPED || player->event == TRACE_ASLEEP) {
        states_add(states, &player->trace, player->event == TRACE_ASLEEP);
        if (player->event == TRACE_ASLEEP)
            wake(play, player);
        else
            step(play, player);
    }
    player_acted(play, role);
}

/* Runs until it stands before that instruction for that time; false if it never does. */
static bool run_to(struct play *play, struct player *player, const struct state *state)
{
    struct trace *trace = &player->trace;
    unsigned arrivals = trace->instruction == state->instruction;
    player->event = TRACE_STOPPED;
    if (arrivals < state->arrival) /* a breakpoint where it stands already would not be passed */
        step(play, player);
    const bool slowly = play->slowly || !trace_breakpoint(trace, state->instruction);
    while (arrivals < state->arrival) {
        if (player->event == TRACE_ASLEEP)
            wake(play, player);
        else if (player->event != TRACE_STOPPED)
            return false;
        else if (trace->instruction == state->instruction && ++arrivals == state->arrival)
            break;
        else if (slowly)
            step(play, player);
        else {
            trace_resume(trace);
            player->event = trace_wait(trace, true);
        }
    }
    trace_breakpoint(trace, 0);
    return true;
}

/* Brings it to a state that a survey has found. */
static bool visit(struct play *play, enum role role, const struct state *state)
{
    struct player *player = &play->players[role];
    bool there = run_to(play, player, state);
    if (there && state->asleep) {
        step(play, player);
        there = player->event == TRACE_ASLEEP;
    }
    settle(play);
    if (!there || !state_is(state, &player->trace))
        ++*(role == ROLE_VICTIM && state->fresh ? &play->missed : &play->otherwise);
    return there;
}

/* --- a play --------------------------------------------------------------------------------- */

static void begin(struct play *play)
{
    image_restore();
    memset(board, 0, sizeof *board);
    for (enum role role = 0; role < ROLE_CHECKER; role++) {
        const struct actor *actor = &play->scenario->actors[role];
        if (!actor->prepare && !actor->act)
            continue;
        player_begin(play, role, actor);
        if (actor->turn == TURN_BEFORE || (role == ROLE_DEAD && actor->act))
            fall_asleep(play, role);
        if (role == ROLE_DEAD)
            player_dies(play, role);
    }
    board->deaths = 0;
    pid_t known[ROLES_COUNT];
    memcpy(known, board->pids, sizeof known);
    known[ROLE_CHECKER] = board->companion; /* there is no checker yet */
    image_begin(known, ROLES_COUNT);
}

/* Those who sleep, and are to wake by now. */
static void await_sleepers(struct play *play, bool helped)
{
    for (enum role role = ROLE_SURVIVOR; role < ROLE_CHECKER; role++) {
        struct player *player = &play->players[role];
        if (turn_of(play, role) == TURN_BEHIND || player->event != TRACE_ASLEEP ||
            play->scenario->actors[role].helped > helped || play->hung)
            continue;
        const uint64_t began_ns = harness_now_ns();
        player->event = trace_wait(&player->trace, false);
        player_acted(play, role);
        note_late(play, began_ns);
    }
}

static void survivors_act(struct play *play)
{
    for (enum role role = ROLE_SURVIVOR; role < ROLE_CHECKER; role++)
        if (turn_of(play, role) == TURN_BEHIND)
            player_acts(play, role);
}

/* The victim stands still; whoever needs what it holds runs out of time, and tries again later. */
static void others_act_meanwhile(struct play *play)
{
    board->stopped = true;
    those_beside_act(play);
    player_acts(play, ROLE_WAKER);
    survivors_act(play);
    board->stopped = false;
}

static void victim_goes_on(struct play *play)
{
    struct player *victim = &play->players[ROLE_VICTIM], *waker = &play->players[ROLE_WAKER];
    const uint64_t began_ns = harness_now_ns();
    while (victim->event == TRACE_STOPPED || victim->event == TRACE_ASLEEP) {
        if (victim->event == TRACE_STOPPED) {
            trace_resume(&victim->trace);
            victim->event = trace_wait(&victim->trace, true);
        } else if (waker->there && !waker->done) {
            wake(play, victim);
        } else { /* a sleeper may have had what the waker did */
            survivors_act(play);
            victim->event = trace_wait(&victim->trace, false);
        }
    }
    player_acted(play, ROLE_VICTIM);
    note_late(play, began_ns);
}

static const struct scenario *checked;

/* First it does what the creator of all players does, then what the scenario says. It leaves each
 * time, so that what there is besides the set-up's is nobody's. */
static int checker_acts(void)
{
    static bool has_buried;
    if (!has_buried)
        step_bury();
    else if (checked->check)
        checked->check();
    has_buried = true;
    shl_self_leave();
    return 0;
}

static void check(struct play *play)
{
    static const struct actor checker = { .prepare = step_attach, .act = checker_acts };
    struct player *player = &play->players[ROLE_CHECKER];
    checked = play->scenario;
    player_begin(play, ROLE_CHECKER, &checker);
    for (unsigned i = 0; i < 2; i++) {
        player->done = false;
        player_acts(play, ROLE_CHECKER);
        if (player->done)
            play->leaks += validate((pid_t[]){ getpid(), player->trace.pid }, 2, play->scenario);
    }
    if (play->leaks > 0 && board->deaths == 0)
        step_failed("%llu bytes are lost though nobody died", (unsigned long long)play->leaks);
    trace_kill(&player->trace);
}

static void end(struct play *play)
{
    board->over = true;
    for (enum role role = 0; role < ROLE_CHECKER; role++) {
        struct player *player = &play->players[role];
        if (player->there && player->event == TRACE_MARK) {
            trace_resume(&player->trace);
            player->event = trace_wait(&player->trace, false);
        }
        if (player->there && player->event != TRACE_ENDED)
            trace_kill(&player->trace);
    }
    if (!play->hung)
        check(play);
}

/* What is to happen in a play; NULL: the operation is let through. */
struct plot {
    const struct state *victim;
    bool stop; /* instead of killing it */
    const struct state *recoverer;
    struct states *victim_states, *recoverer_states; /* of a survey */
    bool slowly;
};

static enum role recoverer_of(const struct scenario *scenario)
{
    enum role role = ROLE_SURVIVOR;
    while (role < ROLE_CHECKER &&
           (scenario->actors[role].turn != TURN_BEHIND || !scenario->actors[role].act))
        role++;
    return role;
}

static bool has_recoverer(const struct scenario *scenario)
{
    return recoverer_of(scenario) < ROLE_CHECKER;
}

static void act_victim(struct play *play, const struct plot *plot)
{
    if (plot->victim_states)
        survey(play, ROLE_VICTIM, plot->victim_states);
    else if (visit(play, ROLE_VICTIM, plot->victim)) {
        if (plot->stop) {
            others_act_meanwhile(play);
            victim_goes_on(play);
        } else
            player_dies(play, ROLE_VICTIM);
    }
}

static void act_recoverer(struct play *play, const struct plot *plot)
{
    const enum role role = recoverer_of(play->scenario);
    settle(play);
    if (plot->recoverer_states)
        survey(play, role, plot->recoverer_states);
    else if (plot->recoverer && visit(play, role, plot->recoverer))
        player_dies(play, role);
}

/* Where in which file a state is: for addr2line -e. */
static void describe_state(const char *what, const struct state *state, char **text, size_t *room)
{
    Dl_info info = { 0 };
    if (!state)
        return;
    dladdr((void *)(uintptr_t)state->instruction, &info);
    const int size = snprintf(
        *text, *room, "%s%s before %s+%#llx: ", what, state->asleep ? ", asleep," : "",
        info.dli_fname ? info.dli_fname : "?",
        (unsigned long long)(state->instruction - (uint64_t)(uintptr_t)info.dli_fbase));
    *text += size < (int)*room ? size : 0;
    *room -= size < (int)*room ? (size_t)size : 0;
}

/* What is wrong with a play; NULL: nothing. */
static const char *complaint(const struct play *play)
{
    if (board->failures > 0)
        return board->failure;
    if (play->late > 0 && !play->scenario->late_known)
        return "nobody woke who was to wake: the tick did";
    if (play->leaks > 0)
        return "memory is lost";
    return play->missed > 0 ? "the state did not come again" : NULL;
}

static void describe(struct tally *tally, const struct plot *plot, const struct play *play)
{
    char *text = tally->first_failure;
    size_t room = sizeof tally->first_failure;
    if (text[0] || !complaint(play))
        return;
    describe_state(plot->stop ? "victim stopped" : "victim killed", plot->victim, &text, &room);
    describe_state("recoverer killed", plot->recoverer, &text, &room);
    snprintf(text, room, "%s", complaint(play));
}

static void play_once(const struct scenario *scenario, const struct plot *plot, struct play *play)
{
    *play = (struct play){ .scenario = scenario, .slowly = plot->slowly };
    begin(play);
    if (board->failures == 0)
        act_victim(play, plot);
    those_beside_act(play);
    player_acts(play, ROLE_WAKER);
    await_sleepers(play, false);
    act_recoverer(play, plot);
    survivors_act(play);
    await_sleepers(play, true);
    play->deaths = board->deaths;
    end(play);
}

bool tally_is_good(const struct scenario *scenario, const struct tally *tally)
{
    return tally->hangs == 0 && tally->invariant_failures == 0 && tally->missed == 0 &&
           tally->leaks == 0 && (tally->late == 0 || scenario->late_known);
}

static void count(struct tally *tally, const struct plot *plot, const struct play *play)
{
    tally->kills += play->deaths > 0;
    tally->recoverer_kills += play->deaths > 1;
    tally->stops += plot->stop;
    tally->hangs += play->hung;
    tally->invariant_failures += board->failures > 0 && !play->hung;
    tally->leaks += play->leaks > 0;
    tally->late += play->late;
    tally->missed += play->missed;
    tally->otherwise += play->otherwise;
}

/* Again, if who was late may only have been kept from running, or if those who ran side by side led
 * to another state. False if something failed. */
static bool play_plot(const struct scenario *scenario, struct plot plot, struct tally *tally)
{
    struct play play;
    for (unsigned tries = 0; tries < 3; tries++) {
        plot.slowly = tries > 0;
        play_once(scenario, &plot, &play);
        if (play.hung || !(play.late || play.missed || play.otherwise))
            break;
    }
    count(tally, &plot, &play);
    describe(tally, &plot, &play);
    if (plot.victim_states)
        tally->steps = play.players[ROLE_VICTIM].trace.steps;
    return tally_is_good(scenario, tally);
}

/* --- levels --------------------------------------------------------------------------------- */

static struct states victim_states, recoverer_states;

/* The recoverer's states behind one of the victim's, but for those that were seen before. */
static bool play_recoverer(const struct scenario *scenario, const struct state *victim,
                           struct tally *tally)
{
    struct states *states = &recoverer_states;
    const unsigned known = states->count;
    struct plot plot = { .victim = victim, .recoverer_states = states };
    bool good = play_plot(scenario, plot, tally);
    plot.recoverer_states = NULL;
    for (unsigned i = known; i < states->count; i++) {
        plot.recoverer = &states->list[i];
        good = play_plot(scenario, plot, tally) && good;
    }
    return good;
}

static void play_level(const struct scenario *scenario, enum level level, bool first_only,
                       struct tally *tally)
{
    const unsigned every = level == LEVEL_RECOVERER && scenario->only_every ? scenario->only_every
                                                                            : 1;
    bool good = true;
    unsigned number = 0;
    for (unsigned i = 0; i < victim_states.count && (good || !first_only); i++) {
        const struct plot plot = { .victim = &victim_states.list[i], .stop = level == LEVEL_STOP };
        if ((!plot.stop && !plot.victim->fresh) || number++ % every != 0)
            continue;
        good = level == LEVEL_RECOVERER ? play_recoverer(scenario, plot.victim, tally)
                                        : play_plot(scenario, plot, tally);
        tally->states++;
    }
    if (level == LEVEL_RECOVERER)
        tally->states = recoverer_states.count;
}

static void set_up(const struct scenario *scenario)
{
    trace_init();
    board = harness_shared(sizeof *board);
    if (shl_segment_family_create(SEGMENT_SIZE) < 0 || step_attach() < 0)
        step_failed("no segment: %s", shoal_error_message());
    scenario->set_up();
    if (board->failures > 0) {
        fprintf(stderr, "%s: %s\n", scenario->name, board->failure);
        _exit(1);
    }
    validate_begin();
    image_save();
}

/* All levels, over the states of one survey. False if some of these did not come again. */
static bool play_levels(const struct scenario *scenario, const struct extent *extent,
                        struct tally *ret_tallies)
{
    struct tally surveyed = { 0 };
    const struct plot survey_plot = { .victim_states = &victim_states };
    bool came = true;
    victim_states.count = recoverer_states.count = 0;
    victim_states.detail = extent->every_instruction ? DETAIL_INSTRUCTIONS : DETAIL_CHANGES;
    play_plot(scenario, survey_plot, &surveyed);
    for (enum level level = 0; level < LEVELS_COUNT; level++) {
        ret_tallies[level] = surveyed;
        if ((extent->levels & 1u << level) && (level != LEVEL_RECOVERER || has_recoverer(scenario)))
            play_level(scenario, level, extent->first_only, &ret_tallies[level]);
        came = came && ret_tallies[level].missed == 0;
    }
    return came;
}

/* On a busy machine a survey may meet a state that only a tick leads to: then it is made anew. */
void play_scenario(const struct scenario *scenario, const struct extent *extent,
                   struct tally *ret_tallies)
{
    set_up(scenario);
    for (unsigned tries = 0; tries < 3 && !play_levels(scenario, extent, ret_tallies); tries++) {}
}

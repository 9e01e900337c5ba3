/* libFuzzer's functions: one input, and how inputs are changed. */
#include "fuzz.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flow/pipe_shm.h"
#include "mem/block_shm.h"
#include "mem/journal.h"
#include "mem/lease_shm.h"
#include "mem/pages.h"
#include "mem/peer.h"
#include "mem/self.h"
#include "mem/share_shm.h"
#include "os/chaos.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second,
                                 size_t second_size, uint8_t *out, size_t max, unsigned seed);

enum { INPUT_SECONDS = 3 };

static struct scene scene;
static pid_t dead_pid;

void fuzz_must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "does not hold: %s; last message: %s\n", what, shoal_error_message());
    abort();
}

static void took_too_long(int signal_number)
{
    (void)signal_number;
    fuzz_must(false, "a call ends");
}

/* Of processor time, which a busy machine does not shorten; -timeout looks after who sleeps. */
static void limit_time(int seconds)
{
    struct itimerval timer = { .it_value.tv_sec = seconds };
    setitimer(ITIMER_VIRTUAL, &timer, NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    signal(SIGVTALRM, took_too_long);
    dead_pid = fork();
    if (dead_pid == 0)
        _exit(0);
    fuzz_must(waitpid(dead_pid, NULL, 0) == dead_pid, "a process has died");
    scene_prepare(&scene);
    shl_mistake = getenv("SHOAL_MISTAKE");
    if (getenv("SHOAL_FUZZ_PRINT")) {
        scene_print(&scene);
        fuzz_calls_print();
        exit(0);
    }
    return 0;
}

/* --- what a step means ---------------------------------------------------------------------- */

static uint32_t slot_generation(uint32_t slot)
{
    uint64_t word;
    memcpy(&word,
           scene.memory + SEGMENT_PEERS_AT + slot * sizeof(struct peer_shm) +
               offsetof(struct peer_shm, word),
           sizeof word);
    return (uint32_t)(word >> 16) & 0xffff;
}

static uint64_t peer_word(pid_t pid, uint64_t value)
{
    return (uint64_t)(uint32_t)pid << 32 | (value & 0xffff) << 16 | PEER_LIVE;
}

/* A slot's owner, of a thread or of a process; the last of four is nobody. */
static uint32_t owner_short(uint64_t value, uint32_t first)
{
    uint32_t slot = (uint32_t)value % 4;
    return slot == 3 ? 0 : PEER_OWNER_MAKE(slot, slot_generation(first + slot));
}

static uint64_t page_word(uint64_t value)
{
    uint64_t flags = (value >> 8 & 0xff) << 8;
    return page_word_make((enum page_kind)(value & 7), owner_short(value >> 16, 0),
                          (uint32_t)(value >> 24 & 0xff), (uint32_t)(value >> 32 & 0xff)) |
           flags;
}

static uint64_t journal_word(uint64_t value)
{
    uint64_t generation = owner_short(value, 0) >> 10;
    return descriptor_make(scene.message, 1) | generation << 56 |
           (value >> 8 & 1 ? JOURNAL_TAKING : 0);
}

static uint32_t process_short(uint64_t value)
{
    return owner_short(value, PEERS_MAX);
}

static uint64_t pipe_holder(uint64_t value)
{
    uint64_t given = value >> 8 & 0xff;
    return given == 0
               ? process_short(value)
               : HOLDER_GIVEN | (scene.objects[given % scene.objects_count] & BLOCK_REF_MASK);
}

/* Of the first object in its place, as the prepared ones are. */
static uint64_t lease_word(uint64_t value)
{
    return lease_word_make(shl_ref_make(0, 1, 0), (uint32_t)(value >> 16),
                           (enum lease_state)(value >> 8 & 7), process_short(value));
}

static uint64_t value_of(const struct step *step)
{
    uint32_t slot = (uint32_t)step->value % 4;
    switch (step->form % FORMS_COUNT) {
    case FORM_HANDLE:
        return scene.objects[step->value % scene.objects_count];
    case FORM_OFFSET:
        return scene.regions[(uint32_t)step->value % scene.regions_count].offset +
               (step->value >> 32);
    case FORM_OWNER_SHORT:
        return PEER_OWNER_MAKE(slot, slot_generation(slot));
    case FORM_OWNER_LONG:
        return PEER_LONG_MAKE(slot, slot_generation(slot));
    case FORM_PEER_DEAD:
        return peer_word(dead_pid, step->value);
    case FORM_PEER_SELF:
        return peer_word(getpid(), step->value);
    case FORM_SIDE:
        return (uint64_t)PEER_OWNER_MAKE(slot, slot_generation(slot)) << SIDE_OWNER_SHIFT |
               SIDE_REST(step->value >> 8);
    case FORM_BLOCK:
        return block_own_make((enum block_state)(step->value >> 8 & 7),
                              PEER_OWNER_MAKE(slot, slot_generation(PEERS_MAX + slot)), 0);
    case FORM_KEPT:
        return block_own_make(BLOCK_FREE, owner_short(step->value, 0), 0);
    case FORM_PART:
        return block_own_make_ref((enum block_state)(step->value >> 8 & 7),
                                  scene.objects[step->value % 256 % scene.objects_count]);
    case FORM_PAGE:
        return page_word(step->value);
    case FORM_CHUNK:
        return chunk_word_make((enum chunk_kind)(step->value & 7),
                               owner_short(step->value >> 16, 0), step->value >> 32);
    case FORM_MESSAGE:
        return journal_word(step->value);
    case FORM_PROCESS:
        return pipe_holder(step->value);
    case FORM_HOLDER:
        return share_holder_process(1, process_short(step->value));
    case FORM_LEASE:
        return lease_word(step->value);
    case FORM_DOOR:
        return (uint64_t)process_short(step->value) << 48 | DOOR_OPEN |
               DOOR_NUMBER(step->value >> 8);
    case FORM_REFERENCE:
        return shl_ref_make(shl_ref_id(scene.segment.ref), 1 + (uint32_t)(step->value >> 40),
                            step->value & ((UINT64_C(1) << 40) - 1));
    }
    return step->value;
}

/* The life of a slot that this thread holds: the one thing that may not be damaged. */
static bool is_own_life(uint64_t offset, bool attached)
{
    struct shl_segment *segment = attached ? shl_segment_of_handle(scene.segment) : NULL;
    const struct shl_attachment *self = segment ? shl_self_attached(segment) : NULL;
    if (!self)
        return false;
    uint64_t life = SEGMENT_PEERS_AT + self->thread * sizeof(struct peer_shm);
    return offset + 8 > life && offset < life + sizeof(((struct peer_shm *)0)->life);
}

static void write_word(const struct step *step, bool attached)
{
    const struct region *region = &scene.regions[step->what % scene.regions_count];
    size_t width = step->width & 1 ? 4 : 8;
    uint64_t offset = region->offset + step->where % (region->size / width) * width;
    uint64_t value = value_of(step);
    if (!is_own_life(offset, attached))
        memcpy(scene.memory + offset, &value, width);
}

/* --- one input ------------------------------------------------------------------------------ */

/* True if it is attached where nothing else lies beside it. */
static bool attach(void)
{
    uint64_t place = (uint64_t)(uintptr_t)scene.base, base;
    memcpy(&base, scene.memory + offsetof(struct segment_shm, base), sizeof base);
    int code = shoal_segment_attach_fd(scene.fd, &scene.segment);
    fuzz_must(code <= 0, "attaching answers 0 or an error");
    if (code < 0)
        return false;
    if (base == place)
        return true;
    fuzz_must(shoal_segment_detach(scene.segment) == 0, "what was only attached can be detached");
    return false;
}

static void run(const struct step *steps, size_t count)
{
    scene_restore(&scene);
    for (size_t i = 0; i < count; i++)
        if (steps[i].op % OPS_COUNT == OP_WRITE_BEFORE)
            write_word(&steps[i], false);
    if (!attach())
        return;
    for (size_t i = 0; i < count; i++) {
        if (steps[i].op % OPS_COUNT == OP_WRITE)
            write_word(&steps[i], true);
        else if (steps[i].op % OPS_COUNT == OP_CALL)
            fuzz_call(&scene, &steps[i], value_of(&steps[i]));
    }
    fuzz_must(shoal_segment_detach(scene.segment) == 0, "a segment is detached");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct step steps[STEPS_MAX];
    size_t count = size / sizeof *steps < STEPS_MAX ? size / sizeof *steps : STEPS_MAX;
    memcpy(steps, data, count * sizeof *steps);
    limit_time(INPUT_SECONDS);
    run(steps, count);
    fuzz_calls_forget();
    limit_time(0);
    return 0;
}

/* --- how inputs are changed ----------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t random_word(void)
{
    uint64_t word = random_state += UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

static uint64_t below(uint64_t limit)
{
    return random_word() % limit;
}

/* Mostly around powers of two: bounds, flags and signs. */
static uint64_t interesting(void)
{
    uint64_t power = UINT64_C(1) << below(64);
    switch (below(6)) {
    case 0:
        return below(16);
    case 1:
        return power;
    case 2:
        return power - 1;
    case 3:
        return 0 - power;
    case 4:
        return power | UINT64_C(1) << below(64);
    }
    return random_word() >> below(64);
}

static struct step random_step(void)
{
    struct step step = { .op = (uint8_t)(below(2) ? OP_CALL : below(OPS_COUNT)),
                         .form = (uint8_t)below(FORMS_COUNT),
                         .what = (uint8_t)random_word(),
                         .width = (uint8_t)below(2),
                         .where = (uint32_t)below(below(2) ? 16 : 256),
                         .value = interesting() };
    if (step.op == OP_CALL && below(8) != 0)
        step.form = FORM_HANDLE;
    if (step.form == FORM_OFFSET)
        step.value = below(scene.regions_count) | below(64) * 16 << 32;
    else if (step.form == FORM_REFERENCE)
        step.value = below(FUZZ_SEGMENT_SIZE / 128) * 128 | below(2) << 40;
    else if (step.form == FORM_PAGE)
        step.value = below(8) | below(8) << 8 | below(4) << 16 | below(CLASSES_COUNT) << 24 |
                     below(PAGES_PER_CHUNK) << 32;
    else if (step.form == FORM_CHUNK)
        step.value = below(8) | below(4) << 16 | below(8) << 32;
    else if (step.form != FORM_NUMBER)
        step.value = below(16) | below(8) << 8;
    return step;
}

static void change(struct step *step)
{
    const struct step other = random_step();
    switch (below(5)) {
    case 0:
        step->what = other.what;
        break;
    case 1:
        step->where = other.where;
        break;
    case 2:
        step->value = other.value;
        step->form = other.form;
        break;
    case 3:
        step->value ^= UINT64_C(1) << below(64);
        break;
    default:
        *step = other;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    struct step steps[STEPS_MAX + 1];
    size_t room = max / sizeof *steps < STEPS_MAX ? max / sizeof *steps : STEPS_MAX;
    size_t count = size / sizeof *steps < room ? size / sizeof *steps : room;
    random_state = seed;
    memcpy(steps, data, count * sizeof *steps);
    for (uint64_t rounds = 1 + below(4); rounds > 0; rounds--) {
        size_t at = below(count + 1);
        uint64_t what = below(8);
        if (what < 3 && count < room) { /* one more, somewhere */
            memmove(steps + at + 1, steps + at, (count++ - at) * sizeof *steps);
            steps[at] = random_step();
        } else if (what == 3 && count > 1 && at < count) { /* one less */
            memmove(steps + at, steps + at + 1, (--count - at) * sizeof *steps);
        } else if (at < count) {
            change(&steps[at]);
        }
    }
    memcpy(data, steps, count * sizeof *steps);
    return count * sizeof *steps;
}

/* What the one begins with, then what the other ends with. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second,
                                 size_t second_size, uint8_t *out, size_t max, unsigned seed)
{
    size_t step = sizeof(struct step);
    random_state = seed;
    size_t begin = below(first_size / step + 1) * step;
    size_t end = below(second_size / step + 1) * step;
    begin = begin < max ? begin : max / step * step;
    end = end < max - begin ? end : (max - begin) / step * step;
    memcpy(out, first, begin);
    memcpy(out + begin, second + second_size / step * step - end, end);
    return begin + end;
}

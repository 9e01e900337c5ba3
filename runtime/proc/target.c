#include "proc/target.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/heap.h"

#include <shoal/process.h>

/* --- names ---------------------------------------------------------------------------------- */

struct named {
    const char *name;
    void (*target)(void *);
};

static struct {
    struct named *list;
    size_t count;
} registry;

static const struct named *find_named(const char *name)
{
    for (size_t i = 0; i < registry.count; i++)
        if (strcmp(registry.list[i].name, name) == 0)
            return &registry.list[i];
    return NULL;
}

int shoal_register(const char *name, void (*target)(void *argument))
{
    REQUIRE(name && *name && target, -EINVAL, "no name, or no target");
    REQUIRE(strnlen(name, SHL_TARGET_NAME_SIZE) < SHL_TARGET_NAME_SIZE, -EMSGSIZE,
            "the name is longer than SHOAL_PROCESS_NAME_MAX");
    const struct named *known = find_named(name);
    if (known && known->target == target)
        return 0;
    REQUIRE(!known, -EEXIST, "another target is registered by that name");
    struct named *list = shl_heap_resize(registry.list, (registry.count + 1) * sizeof *list);
    REQUIRE(list, -ENOMEM, "no memory for the name of a target");
    list[registry.count++] = (struct named){ name, target };
    registry.list = list;
    return 0;
}

/* --- modules -------------------------------------------------------------------------------- */

/* Is it in a part of the module that holds code? */
static bool holds(const struct dl_phdr_info *module, uintptr_t address)
{
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &module->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) &&
            address - (module->dlpi_addr + part->p_vaddr) < part->p_memsz)
            return true;
    }
    return false;
}

/* The description of the build id among a part's notes; NULL if it is not there. */
static const unsigned char *id_in_notes(uintptr_t at, const ElfW(Phdr) * part, uint32_t *ret_size)
{
    size_t align = part->p_align == 8 ? 8 : 4;
    uintptr_t end = at + part->p_memsz;
    while (end - at >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
        uintptr_t name = at + sizeof *note;
        uintptr_t id = (name + note->n_namesz + align - 1) & ~(align - 1);
        uintptr_t next = (id + note->n_descsz + align - 1) & ~(align - 1);
        if (next > end)
            return NULL;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz <= SHL_BUILD_ID_MAX &&
            note->n_namesz == sizeof "GNU" && memcmp((const char *)name, "GNU", 4) == 0) {
            *ret_size = note->n_descsz;
            return (const unsigned char *)id;
        }
        at = next;
    }
    return NULL;
}

static struct shl_build_id id_of(const struct dl_phdr_info *module)
{
    struct shl_build_id id = { 0 };
    for (int i = 0; i < module->dlpi_phnum && id.size == 0; i++) {
        const ElfW(Phdr) *part = &module->dlpi_phdr[i];
        if (part->p_type != PT_NOTE)
            continue;
        uintptr_t at = module->dlpi_addr + part->p_vaddr;
        const unsigned char *bytes = id_in_notes(at, part, &id.size);
        if (bytes)
            memcpy(id.bytes, bytes, id.size);
    }
    return id;
}

/* The program itself, which comes first and stays. */
static struct dl_phdr_info program;

/* Most of its code, so that not every child looks at its headers. */
static struct {
    uintptr_t at;
    size_t size;
} text;

/* cppcheck-suppress constParameter ; as dl_iterate_phdr() wants it */
static int is_program(struct dl_phdr_info *module, size_t size, void *context)
{
    (void)size, (void)context;
    program = *module;
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &module->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) && part->p_memsz > text.size) {
            text.at = module->dlpi_addr + part->p_vaddr;
            text.size = part->p_memsz;
        }
    }
    return 1;
}

static bool program_holds(uintptr_t address)
{
    return address - text.at < text.size || holds(&program, address);
}

void shl_target_find_program(void)
{
    if (!program.dlpi_phdr)
        dl_iterate_phdr(is_program, NULL);
}

struct description {
    uintptr_t address;
    struct shl_target *target;
    bool too_long;
};

static int describe(struct dl_phdr_info *module, size_t size, void *context)
{
    (void)size;
    struct description *description = context;
    struct shl_target *target = description->target;
    if (!holds(module, description->address))
        return 0;
    target->offset = description->address - module->dlpi_addr;
    target->id = id_of(module);
    size_t length = strlen(module->dlpi_name);
    description->too_long = length >= sizeof target->path;
    if (!description->too_long)
        memcpy(target->path, module->dlpi_name, length + 1);
    return 1;
}

int shl_target_describe(void (*function)(void *), struct shl_target *ret_target)
{
    ret_target->name[0] = ret_target->path[0] = '\0';
    for (size_t i = 0; i < registry.count; i++)
        if (registry.list[i].target == function) {
            memcpy(ret_target->name, registry.list[i].name, strlen(registry.list[i].name) + 1);
            return 0;
        }
    /* It is exec'd by its file, which stays the same even if it was replaced. */
    shl_target_find_program();
    ret_target->offset = (uintptr_t)function - program.dlpi_addr;
    if (program_holds((uintptr_t)function))
        return 0;
    struct description description = { (uintptr_t)function, ret_target, false };
    REQUIRE(dl_iterate_phdr(describe, &description) > 0, -EINVAL,
            "the target is no function of the program or of a loaded library");
    REQUIRE(!description.too_long, -EMSGSIZE, "the path of the target's library is too long");
    REQUIRE(ret_target->id.size > 0, -ENOTSUP,
            "the target's library has no build id: link it with --build-id, or shoal_register()");
    return 0;
}

struct look {
    const struct shl_target *target;
    uintptr_t address; /* 0: its module is not here */
};

static int is_it(struct dl_phdr_info *module, size_t size, void *context)
{
    (void)size;
    struct look *look = context;
    const struct shl_target *target = look->target;
    struct shl_build_id id = id_of(module);
    if (id.size != target->id.size || memcmp(id.bytes, target->id.bytes, id.size) != 0)
        return 0;
    uintptr_t address = module->dlpi_addr + target->offset;
    look->address = holds(module, address) ? address : 0;
    return 1;
}

static int find_in_library(const struct shl_target *target, uintptr_t *ret_address)
{
    struct look look = { target, 0 };
    if (dl_iterate_phdr(is_it, &look) == 0) {
        if (!dlopen(target->path, RTLD_NOW))
            return -ENOENT;
        dl_iterate_phdr(is_it, &look);
    }
    *ret_address = look.address;
    return 0;
}

int shl_target_find(const struct shl_target *target, void (**ret_function)(void *))
{
    if (target->name[0]) {
        const struct named *known = find_named(target->name);
        if (known)
            *ret_function = known->target;
        return known ? 0 : -ENOENT;
    }
    shl_target_find_program();
    uintptr_t address = program.dlpi_addr + target->offset;
    int code = 0;
    if (target->path[0])
        code = find_in_library(target, &address);
    else if (!program_holds(address))
        address = 0;
    if (code == 0 && !address)
        code = -EPROTO;
    if (code == 0)
        *ret_function = (void (*)(void *))address;
    return code;
}

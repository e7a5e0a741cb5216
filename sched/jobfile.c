/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/jobfile.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

/* The version is only declared here: this unit is no job. */
#define WEIR_SCHED_ABI_NO_MARK
#include "sched/abi.h"

struct weir_jobfile {
    void *handle;
    weir_job_main_fn *main;
    const struct weir_opt *params;
    const char *examples;
};

/* A mapped file; every offset in it is checked against its size before it is followed. */
struct image {
    const char *path;
    const char *base;
    size_t bytes;
};

static bool
inside(const struct image *image, uint64_t off, uint64_t bytes)
{
    return off <= image->bytes && bytes <= image->bytes - off;
}

static int
refuse(const struct image *image, const char *why)
{
    return weir_err_push(WEIR_EJOB, "%s: %s", image->path, why);
}

static int
check_header(const struct image *image, const Elf64_Ehdr **ret_header)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)image->base;
    if (!inside(image, 0, sizeof *header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
        return refuse(image, "it is no shared object");
    }
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_machine != EM_X86_64) {
        return refuse(image, "it was built for another kind of machine");
    }
    if (header->e_type != ET_DYN) {
        return refuse(image, "it is no shared object");
    }
    if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shoff % 8 != 0 ||
        !inside(image, header->e_shoff, (uint64_t)header->e_shnum * sizeof(Elf64_Shdr))) {
        return refuse(image, "its table of sections is cut off or missing");
    }
    *ret_header = header;
    return 0;
}

/* The dynamic symbol of that name that the file itself defines, or NULL. */
static const Elf64_Sym *
symbol_find(const struct image *image, const Elf64_Ehdr *header, const char *name)
{
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(image->base + header->e_shoff);
    for (uint32_t i = 0; i < header->e_shnum; i++) {
        const Elf64_Shdr *table = &sections[i];
        if (table->sh_type != SHT_DYNSYM || table->sh_link >= header->e_shnum ||
            table->sh_offset % 8 != 0 || !inside(image, table->sh_offset, table->sh_size)) {
            continue;
        }
        const Elf64_Shdr *names = &sections[table->sh_link];
        if (!inside(image, names->sh_offset, names->sh_size)) {
            continue;
        }
        const Elf64_Sym *symbols = (const Elf64_Sym *)(image->base + table->sh_offset);
        for (uint64_t s = 0; s < table->sh_size / sizeof *symbols; s++) {
            const char *text = image->base + names->sh_offset + symbols[s].st_name;
            bool whole = symbols[s].st_name < names->sh_size &&
                         strnlen(text, names->sh_size - symbols[s].st_name) <
                             names->sh_size - symbols[s].st_name;
            if (symbols[s].st_shndx != SHN_UNDEF && whole && strcmp(text, name) == 0) {
                return &symbols[s];
            }
        }
    }
    return NULL;
}

/* The 32-bit number that a data symbol holds in the file; false: it lies outside of it. */
static bool
symbol_number(const struct image *image, const Elf64_Ehdr *header, const Elf64_Sym *symbol,
    uint32_t *ret_number)
{
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phoff % 8 != 0 ||
        !inside(image, header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr))) {
        return false;
    }
    const Elf64_Phdr *segments = (const Elf64_Phdr *)(image->base + header->e_phoff);
    for (uint32_t i = 0; i < header->e_phnum; i++) {
        const Elf64_Phdr *segment = &segments[i];
        bool holds = segment->p_type == PT_LOAD && symbol->st_value >= segment->p_vaddr &&
                     symbol->st_value - segment->p_vaddr < segment->p_filesz;
        uint64_t off = segment->p_offset + (symbol->st_value - segment->p_vaddr);
        if (holds && symbol->st_size == sizeof *ret_number &&
            inside(image, off, sizeof *ret_number)) {
            memcpy(ret_number, image->base + off, sizeof *ret_number);
            return true;
        }
    }
    return false;
}

static int
check_image(const struct image *image)
{
    const Elf64_Ehdr *header = NULL;
    uint32_t abi = 0;
    int err = check_header(image, &header);
    if (err != 0) {
        return err;
    }
    if (symbol_find(image, header, "weir_job_main") == NULL) {
        return refuse(image, "it has no weir_job_main(): not a job");
    }
    const Elf64_Sym *mark = symbol_find(image, header, "weir_job_abi");
    if (mark == NULL || !symbol_number(image, header, mark, &abi)) {
        return refuse(image, "it does not say for which version of the job interface it was built: "
                             "include sched/weir.h in it");
    }
    if (abi != WEIR_JOB_ABI) {
        return weir_err_push(WEIR_EJOB,
            "%s: it was built for version %u of the job interface, and this is version %u",
            image->path, abi, WEIR_JOB_ABI);
    }
    return 0;
}

int
weir_jobfile_check(const char *path)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return weir_err_errno(errno, "the job %s", path);
    }
    int err = 0;
    struct image image = {.path = path};
    void *base = MAP_FAILED;
    if (fstat(fd, &stat) != 0) {
        err = weir_err_errno(errno, "the job %s", path);
    } else if (!S_ISREG(stat.st_mode)) {
        err = weir_err_push(WEIR_ENOINPUT, "the job %s: it is not a file", path);
    } else if (stat.st_size == 0) {
        err = refuse(&image, "it is empty");
    } else {
        image.bytes = (size_t)stat.st_size;
        base = mmap(NULL, image.bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        err = base == MAP_FAILED ? weir_err_errno(errno, "the job %s", path) : 0;
    }
    if (err == 0) {
        image.base = (const char *)base;
        err = check_image(&image);
    }
    if (base != MAP_FAILED) {
        (void)munmap(base, image.bytes);
    }
    (void)close(fd);
    return err;
}

int
weir_jobfile_open(const char *path, struct weir_jobfile **ret_file)
{
    int err = weir_jobfile_check(path);
    if (err != 0) {
        return err;
    }
    struct weir_jobfile *file = calloc(1, sizeof *file);
    if (file == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%s", path);
    }
    /* A name without a slash would be looked for in the system's directories: resolve it here. */
    char *whole = realpath(path, NULL);
    file->handle = whole != NULL ? dlopen(whole, RTLD_NOW | RTLD_LOCAL) : NULL;
    free(whole);
    if (file->handle == NULL) {
        const char *why = dlerror();
        weir_jobfile_close(file);
        return weir_err_push(WEIR_EJOB, "%s", why != NULL ? why : path);
    }
    void *entry = dlsym(file->handle, "weir_job_main");
    memcpy(&file->main, &entry, sizeof entry);
    file->params = (const struct weir_opt *)dlsym(file->handle, "weir_job_params");
    file->examples = (const char *)dlsym(file->handle, "weir_job_examples");
    *ret_file = file;
    return 0;
}

void
weir_jobfile_close(struct weir_jobfile *file)
{
    if (file != NULL && file->handle != NULL) {
        (void)dlclose(file->handle);
    }
    free(file);
}

weir_job_main_fn *
weir_jobfile_main(const struct weir_jobfile *file)
{
    return file->main;
}

const struct weir_opt *
weir_jobfile_params(const struct weir_jobfile *file)
{
    return file->params;
}

const char *
weir_jobfile_examples(const struct weir_jobfile *file)
{
    return file->examples;
}

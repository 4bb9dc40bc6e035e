/*
 * The disk in a test's hands: each call of the system that changes a file comes
 * by here, SQLite's too, since a program's own functions stand before those of
 * the C library. The n-th of them fails, or the process dies there, or the power
 * does: then what was never synced is gone, contents, names, or both.
 *
 * Nothing is synced for real, so that thousands of runs take seconds.
 */
#ifndef OCF_TESTS_DAEMON_STORE_DISK_H
#define OCF_TESTS_DAEMON_STORE_DISK_H

#include "store_world.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>

enum disk_mode {
        DISK_DIES,               /* SIGKILL before the call */
        DISK_DIES_HALFWAY,       /* and half of a write is done */
        DISK_LOSES_CONTENTS,     /* power: what was written, not synced */
        DISK_LOSES_NAMES,        /* power: what was renamed, made, removed, and the directory not synced */
        DISK_LOSES_NEW_NAMES,    /* power: what was made, while a rename over an older name came through */
        DISK_LOSES_ALL,          /* power: contents and names */
        DISK_FAILS_ONCE,         /* with disk_error */
        DISK_FAILS_FROM_HERE_ON, /* until it is disarmed */
        _DISK_MODE_N
};

static int disk_left = -1; /* calls until it happens; -1: never */
static bool disk_armed;    /* calls are counted */
static enum disk_mode disk_mode;
static int disk_error = EIO;
static bool disk_happened;

/* ---- what would be on the platters ---- */

#define N_INODES 256

static struct inode {
        ino_t number;
        int fd; /* held, so that its number is not used again */
        uint8_t *synced;
        size_t n;
} inodes[N_INODES];
static size_t n_inodes;

struct listing {
        size_t n;
        struct {
                char name[64];
                struct inode *inode;
        } entries[32];
};

static struct listing durable;

static struct inode *hold(const char *path) {
        struct stat info;
        int fd;

        if (stat(path, &info) < 0)
                return NULL;
        for (size_t i = 0; i < n_inodes; i++)
                if (inodes[i].number == info.st_ino)
                        return &inodes[i];
        fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC,
                          0); /* never closed: locks would go */
        if (fd < 0 || n_inodes == N_INODES)
                abort();
        inodes[n_inodes] = (struct inode){ .number = info.st_ino, .fd = fd };
        return &inodes[n_inodes++];
}

static uint8_t *read_now(const struct inode *i, size_t *ret_n) {
        struct stat info;
        uint8_t *bytes;

        if (fstat(i->fd, &info) < 0)
                abort();
        bytes = malloc((size_t)info.st_size + 1);
        *ret_n = (size_t)info.st_size;
        if (!bytes || pread(i->fd, bytes, *ret_n, 0) != (ssize_t)*ret_n)
                abort();
        return bytes;
}

static void list_now(struct listing *ret) {
        DIR *d = opendir(scratch);
        struct dirent *e;

        ret->n = 0;
        while (d && (e = readdir(d))) {
                struct inode *i;
                size_t n = strlen(e->d_name);

                if (e->d_name[0] == '.')
                        continue;
                if (ret->n == ARRAY_SIZE(ret->entries) || n >= sizeof(ret->entries[0].name))
                        abort();
                i = hold(in_scratch(e->d_name));
                if (!i)
                        continue;
                strcpy(ret->entries[ret->n].name, e->d_name);
                ret->entries[ret->n++].inode = i;
        }
        closedir(d);
}

static void note_synced(struct inode *i) {
        free(i->synced);
        i->synced = read_now(i, &i->n);
}

static void note_sync(int fd) {
        char path[64];
        struct stat info;

        if (fstat(fd, &info) < 0)
                return;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (S_ISDIR(info.st_mode))
                list_now(&durable);
        else
                note_synced(hold(path));
}

/* All that is there is on the platters. */
static OCF_UNUSED void disk_begin(void) {
        list_now(&durable);
        for (size_t i = 0; i < durable.n; i++)
                note_synced(durable.entries[i].inode);
}

static const char *name_of(const struct listing *l, const struct inode *inode) {
        for (size_t i = 0; i < l->n; i++)
                if (l->entries[i].inode == inode)
                        return l->entries[i].name;
        return NULL;
}

static bool has_name(const struct listing *l, const char *name) {
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->entries[i].name, name) == 0)
                        return true;
        return false;
}

/* Names that are new are lost, and renames to them; renames over names that there were, and removals, came
 * through. */
static struct listing without_new_names(const struct listing *now) {
        struct listing left = { 0 };

        for (size_t i = 0; i < now->n; i++)
                if (has_name(&durable, now->entries[i].name))
                        left.entries[left.n++] = now->entries[i];
        for (size_t i = 0; i < durable.n; i++) {
                const char *moved_to = name_of(now, durable.entries[i].inode);

                if (!has_name(now, durable.entries[i].name) && moved_to && !has_name(&durable, moved_to))
                        left.entries[left.n++] = durable.entries[i];
        }
        return left;
}

/* What is in a directory whose changes were not synced. */
static struct listing choose_names(const struct listing *now) {
        if (disk_mode == DISK_LOSES_CONTENTS)
                return *now;
        return disk_mode == DISK_LOSES_NEW_NAMES ? without_new_names(now) : durable;
}

static void lose_power(void) {
        bool contents = disk_mode == DISK_LOSES_CONTENTS || disk_mode == DISK_LOSES_ALL;
        struct listing now, left;
        struct {
                uint8_t *bytes;
                size_t n;
        } files[ARRAY_SIZE(now.entries)];

        list_now(&now);
        left = choose_names(&now);
        for (size_t i = 0; i < left.n; i++) {
                struct inode *inode = left.entries[i].inode;

                files[i].n = inode->n;
                files[i].bytes = contents ? inode->synced : read_now(inode, &files[i].n);
        }
        for (size_t i = 0; i < now.n; i++)
                syscall(SYS_unlinkat, AT_FDCWD, in_scratch(now.entries[i].name), 0);
        for (size_t i = 0; i < left.n; i++)
                write_file(left.entries[i].name, files[i].bytes, files[i].n);
        kill(getpid(), SIGKILL);
}

/* ---- calls ---- */

/* Return: whether the call fails, with errno. */
static bool disk_call(void) {
        if (!disk_armed)
                return false;
        if (disk_left < 0 || disk_left-- > 0)
                return false;
        disk_happened = true;
        switch (disk_mode) {
        case DISK_FAILS_FROM_HERE_ON:
                disk_left = 0;
                errno = disk_error;
                return true;
        case DISK_FAILS_ONCE:
                errno = disk_error;
                return true;
        case DISK_DIES:
                kill(getpid(), SIGKILL);
                break;
        case DISK_DIES_HALFWAY: /* what is no write is over */
                kill(getpid(), SIGKILL);
                break;
        case DISK_LOSES_CONTENTS:
        case DISK_LOSES_NAMES:
        case DISK_LOSES_NEW_NAMES:
        case DISK_LOSES_ALL:
                disk_armed = false;
                lose_power();
                break;
        case _DISK_MODE_N:
                break;
        }
        abort();
}

static bool dies_halfway(void) {
        return disk_armed && disk_mode == DISK_DIES_HALFWAY && disk_left == 0;
}

#define SHIM(type, name, ...)                                                                                \
        extern type shim_##name(__VA_ARGS__) __asm__(#name) __attribute__((visibility("default"), used));    \
        type shim_##name(__VA_ARGS__)

SHIM(ssize_t, write, int fd, const void *buf, size_t n) {
        if (dies_halfway())
                syscall(SYS_write, fd, buf, n / 2);
        return disk_call() ? -1 : syscall(SYS_write, fd, buf, n);
}

static ssize_t write_at(int fd, const void *buf, size_t n, off_t offset) {
        if (dies_halfway())
                syscall(SYS_pwrite64, fd, buf, n / 2, offset);
        return disk_call() ? -1 : syscall(SYS_pwrite64, fd, buf, n, offset);
}

SHIM(ssize_t, pwrite, int fd, const void *buf, size_t n, off_t offset) {
        return write_at(fd, buf, n, offset);
}

SHIM(ssize_t, pwrite64, int fd, const void *buf, size_t n, off_t offset) {
        return write_at(fd, buf, n, offset);
}

static int sync_it(int fd) {
        if (disk_call())
                return -1;
        if (disk_armed)
                note_sync(fd);
        return 0;
}

SHIM(int, fsync, int fd) {
        return sync_it(fd);
}

SHIM(int, fdatasync, int fd) {
        return sync_it(fd);
}

SHIM(int, ftruncate, int fd, off_t n) {
        return disk_call() ? -1 : (int)syscall(SYS_ftruncate, fd, n);
}

SHIM(int, ftruncate64, int fd, off_t n) {
        return disk_call() ? -1 : (int)syscall(SYS_ftruncate, fd, n);
}

SHIM(int, renameat, int from_fd, const char *from, int to_fd, const char *to) {
        return disk_call() ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

SHIM(int, unlink, const char *path) {
        return disk_call() ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

SHIM(int, unlinkat, int fd, const char *path, int flags) {
        return disk_call() ? -1 : (int)syscall(SYS_unlinkat, fd, path, flags);
}

SHIM(int, linkat, int from_fd, const char *from, int to_fd, const char *to, int flags) {
        return disk_call() ? -1 : (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

static int open_it(int directory, const char *path, int flags, mode_t mode) {
        if (flags & O_CREAT && disk_call())
                return -1;
        return (int)syscall(SYS_openat, directory, path, flags, mode);
}

#define MODE_OF(flags, args) ((flags)&O_CREAT ? (mode_t)va_arg(args, int) : 0)

#define SHIM_OPEN(name)                                                                                      \
        SHIM(int, name, const char *path, int flags, ...) {                                                  \
                va_list args;                                                                                \
                mode_t mode;                                                                                 \
                                                                                                             \
                va_start(args, flags);                                                                       \
                mode = MODE_OF(flags, args);                                                                 \
                va_end(args);                                                                                \
                return open_it(AT_FDCWD, path, flags, mode);                                                 \
        }

#define SHIM_OPENAT(name)                                                                                    \
        SHIM(int, name, int directory, const char *path, int flags, ...) {                                   \
                va_list args;                                                                                \
                mode_t mode;                                                                                 \
                                                                                                             \
                va_start(args, flags);                                                                       \
                mode = MODE_OF(flags, args);                                                                 \
                va_end(args);                                                                                \
                return open_it(directory, path, flags, mode);                                                \
        }

SHIM_OPEN(open)
SHIM_OPEN(open64)
SHIM_OPENAT(openat)
SHIM_OPENAT(openat64)

#endif

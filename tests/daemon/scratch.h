/*
 * A directory of a test's own, files in it, and what was told about them.
 */
#ifndef OCF_TESTS_DAEMON_SCRATCH_H
#define OCF_TESTS_DAEMON_SCRATCH_H

#include "../unit.h"
#include "base/util.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[64];

static OCF_UNUSED int scratch_open(void **state) {
        snprintf(scratch, sizeof(scratch), "/tmp/ocfd-test-XXXXXX");
        return mkdtemp(scratch) ? 0 : -1;
}

static int scratch_remove(const char *path, const struct stat *s, int type, struct FTW *ftw) {
        return remove(path);
}

static OCF_UNUSED int scratch_close(void **state) {
        return nftw(scratch, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a name in it; good until the call after the next three. */
static OCF_UNUSED const char *in_scratch(const char *name) {
        static char paths[4][256];
        static unsigned next;
        char *path = paths[next++ % 4];

        snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
        return path;
}

static OCF_UNUSED void write_file(const char *name, const void *bytes, size_t n) {
        FILE *f = fopen(in_scratch(name), "w");

        assert_non_null(f);
        assert_int_equal(fwrite(bytes, 1, n, f), n);
        assert_int_equal(fclose(f), 0);
}

#define WRITE(name, text) write_file(name, text, strlen(text))

/* What was told, line after line. */
static char told[8192];

static OCF_UNUSED void tell(void *context, const char *message) {
        size_t n = strlen(told);

        snprintf(told + n, sizeof(told) - n, "%s\n", message);
}

#endif

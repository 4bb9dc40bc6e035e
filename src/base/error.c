#include "base/error.h"

#include <errno.h>

/* Only for the last words of a process: nothing is ever decided by it. */
static struct {
        const char *file;
        int line, outcome;
} last_fold = { "", 0, 0 };

int error_fold_at(int r, const char *file, int line) {
        if (r <= 0)
                return r;
        last_fold.file = file;
        last_fold.line = line;
        last_fold.outcome = r;
        return -ENOTRECOVERABLE;
}

void error_last_fold(const char **ret_file, int *ret_line, int *ret_outcome) {
        *ret_file = last_fold.file;
        *ret_line = last_fold.line;
        *ret_outcome = last_fold.outcome;
}

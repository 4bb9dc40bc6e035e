#include "base/memory.h"
#include "daemon/control_security.h"
#include "daemon/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Work on the store for an administrator, one at a time. The files of backups
 * are the caller's: what the store writes or reads is a copy beside it, and the
 * copying, which the loop must not wait for, is done on another thread.
 */

#define COPY_NAME  "admin-copy"
#define COPY_MAX   (256ll * 1024 * 1024)
#define COPY_CHUNK 65536u

struct job {
        uv_work_t copying;
        struct daemon *daemon;
        enum bus_store_work work;
        int fd;     /* of the caller; -1: none */
        char *path; /* of our copy; NULL: none */
        char *said; /* by the store, until the copy is where it belongs */
        bus_store_done *done;
        void *context;
        int copied; /* 0; negative errno */
};

static void finish(struct job *j, int outcome, const char *text) {
        j->daemon->store_is_busy = false;
        if (j->path)
                (void)unlink(j->path);
        if (j->fd >= 0)
                close(j->fd);
        j->done(j->context, outcome, text ? text : "There is no memory to say more.");
        ocf_free(j->path);
        ocf_free(j->said);
        ocf_free(j);
}

static void finish_errno(struct job *j, const char *what, int e) {
        char text[256];

        snprintf(text, sizeof(text), "%s: %s.", what, strerror(-e));
        finish(j, BUS_E_REFUSED, text);
}

/* ---- copying, on another thread ---- */

static int copy(int from, int to) {
        uint8_t buf[COPY_CHUNK];
        long long total = 0;
        ssize_t n;

        while ((n = read(from, buf, sizeof(buf))) > 0) {
                total += n;
                if (total > COPY_MAX)
                        return -EFBIG;
                for (ssize_t done = 0, m; done < n; done += m) {
                        m = write(to, buf + done, (size_t)(n - done));
                        if (m < 0)
                                return -errno;
                }
        }
        return n < 0 ? -errno : 0;
}

static void copy_out(uv_work_t *work) {
        struct job *j = OCF_CONTAINER_OF(work, struct job, copying);
        int from = open(j->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

        if (from < 0) {
                j->copied = -errno;
                return;
        }
        j->copied = copy(from, j->fd);
        if (!j->copied && fsync(j->fd) < 0)
                j->copied = -errno;
        close(from);
}

static void copy_in(uv_work_t *work) {
        struct job *j = OCF_CONTAINER_OF(work, struct job, copying);
        int to = open(j->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (to < 0) {
                j->copied = -errno;
                return;
        }
        j->copied = copy(j->fd, to);
        close(to);
}

/* ---- the store's answers, on the loop ---- */

static void on_copied_out(uv_work_t *work, int status) {
        struct job *j = OCF_CONTAINER_OF(work, struct job, copying);
        int r = status ? status : j->copied;

        if (r)
                finish_errno(j, "The copy could not be written to your file", r);
        else
                finish(j, 0, j->said);
}

static void restart(struct daemon *d) {
        diag_stopping("an administrator has restored the store");
        d->restarts = true;
        uv_stop(&d->loop);
}

static void finish_restored(struct job *j, const char *text) {
        char *more = NULL;

        if (asprintf(&more, "%s ocfd starts again with it.", text) < 0)
                more = NULL;
        finish(j, 0, more);
        free(more);
}

static void on_report(void *context, int outcome, const char *text) {
        struct job *j = context;
        struct daemon *d = j->daemon;
        int r = 0;

        if (outcome) {
                finish(j, BUS_E_REFUSED, text);
        } else if (j->work == BUS_STORE_BACKUP) {
                j->said = ocf_duplicate_string(text);
                r = uv_queue_work(&d->loop, &j->copying, copy_out, on_copied_out);
                if (r)
                        finish_errno(j, "The copy could not be written to your file", r);
        } else if (j->work == BUS_STORE_RESTORE) {
                finish_restored(j, text);
                restart(d);
        } else {
                finish(j, 0, text);
        }
}

static void on_copied_in(uv_work_t *work, int status) {
        struct job *j = OCF_CONTAINER_OF(work, struct job, copying);
        int r = status ? status : j->copied;

        if (!r && !j->daemon->store) /* it stops meanwhile: what was there stays */
                r = -ECANCELED;
        if (!r)
                r = store_restore(j->daemon->store, j->path, on_report, j);
        if (r)
                finish_errno(j, "Your file could not be read", r);
}

static int begin(struct job *j) {
        struct daemon *d = j->daemon;

        switch (j->work) {
        case BUS_STORE_CHECK:
                return store_check(d->store, on_report, j);
        case BUS_STORE_BACKUP:
                (void)unlink(j->path); /* what a crash left */
                return store_backup(d->store, j->path, on_report, j);
        case BUS_STORE_RESTORE:
                return uv_queue_work(&d->loop, &j->copying, copy_in, on_copied_in);
        case BUS_STORE_REKEY:
                break;
        }
        return store_rekey(d->store, on_report, j);
}

/* A pipe would stop the thread as long as its other end likes. */
static const char *problem_of_file(int fd) {
        struct stat st;

        return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? NULL : "That has to be a regular file.";
}

void control_store(void *context, enum bus_store_work work, int fd, bus_store_done *done,
                   void *done_context) {
        struct daemon *d = context;
        struct job *j = ocf_new(struct job);
        const char *problem = fd >= 0 ? problem_of_file(fd) : NULL;
        int r = 0;

        if (!j || problem || d->store_is_busy) {
                if (fd >= 0)
                        close(fd);
                ocf_free(j);
                done(done_context, problem ? BUS_E_REFUSED : BUS_E_BUSY,
                     problem ? problem
                             : "Somebody else is at work on the store, or memory is short: try again in a "
                               "moment.");
                return;
        }
        *j = (struct job){ .daemon = d, .work = work, .fd = fd, .done = done, .context = done_context };
        if (fd >= 0 && asprintf(&j->path, "%s/" COPY_NAME, d->config->state_directory) < 0) {
                j->path = NULL;
                r = -ENOMEM;
        }
        d->store_is_busy = true;
        if (!r)
                r = begin(j);
        if (r)
                finish_errno(j, "It could not be begun", r);
}

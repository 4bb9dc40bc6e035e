/*
 * The thread that owns the database, so that the loop never waits for the disk.
 *
 * Jobs go to it in order and come back in order, through a handle of the loop.
 * What strangers cause (audit rows) is not worth a sync of its own: the latest
 * value of each such row waits, and goes with the next commit or when its time
 * has come.
 */
#include "base/list.h"
#include "base/memory.h"
#include "daemon/clock.h"
#include "daemon/store_private.h"

#include <errno.h>
#include <string.h>

enum job_kind { JOB_COMMIT, JOB_CHECK, JOB_BACKUP, JOB_RESTORE, JOB_REKEY };

struct job {
        struct list node;
        enum job_kind kind;
        struct store_changes changes;
        bool owned;
        char *path, *text;
        int outcome;
        store_done *done;
        store_report *report;
        void *context;
};

struct store_thread {
        struct store *store;
        uv_loop_t *loop;
        uv_thread_t thread;
        uv_mutex_t mutex; /* for what is below */
        uv_cond_t woken;
        struct list waiting, finished;
        struct store_changes lazy;
        uint64_t lazy_due_ms; /* OCF_NEVER: nothing waits */
        bool stop;
        uv_async_t *async; /* freed by the loop, when it is closed */
        size_t n_pending;  /* of the loop's thread: jobs that it has not heard of */
};

static struct job *job_free(struct job *j) {
        if (!j)
                return NULL;
        list_unlink(&j->node);
        store_changes_deinit(&j->changes);
        ocf_free(j->path);
        ocf_free(j->text);
        return ocf_free(j);
}

static struct job *job_new(enum job_kind kind) {
        struct job *j = ocf_new(struct job);

        if (j) {
                list_init(&j->node);
                j->kind = kind;
        }
        return j;
}

/* ---- on the store thread ---- */

/* Rows that are lazy stand behind those that are not: of the same row they are the later ones. */
static int write_all(struct store *s, const struct store_changes *real, struct store_changes *lazy,
                     bool owned) {
        struct store_change *all;
        size_t n = real->n + lazy->n;
        int r;

        if (!n && owned == store_is_owned(s) && atomic_load(&s->state) == STORE_OPEN)
                return 0;
        all = ocf_allocate(n, sizeof(*all));
        if (!all)
                return -ENOMEM;
        if (real->n)
                memcpy(all, real->list, real->n * sizeof(*all));
        if (lazy->n)
                memcpy(all + real->n, lazy->list, lazy->n * sizeof(*all));
        r = store_write(s, all, n, owned);
        ocf_free(all);
        return r;
}

static struct store_changes take_lazy(struct store_thread *t) {
        struct store_changes lazy = t->lazy;

        t->lazy = (struct store_changes){ 0 };
        t->lazy_due_ms = OCF_NEVER;
        return lazy;
}

static void remove_lazy(struct store_thread *t, const struct job *j) {
        for (size_t i = 0; i < j->changes.n; i++)
                store_changes_remove(&t->lazy, j->changes.list[i].device, j->changes.list[i].name);
}

/* They could not be written: those of which no later value has come wait on. */
static void give_back_lazy(struct store_thread *t, struct store_changes *lazy_take) {
        struct store_changes later = t->lazy;

        if (!lazy_take->n)
                return;
        t->lazy = *lazy_take;
        *lazy_take = (struct store_changes){ 0 };
        LIST_FOR_EACH(node, &t->waiting)
        remove_lazy(t, LIST_ENTRY(node, struct job, node));
        for (size_t i = 0; i < later.n; i++)
                (void)store_changes_add(&t->lazy, &later.list[i]); /* without memory the older value stays */
        store_changes_deinit(&later);
        t->lazy_due_ms = clock_now_ms() + STORE_LAZY_DELAY_MS;
}

static void run_commit(struct store_thread *t, struct job *j, struct store_changes *lazy) {
        static const struct store_changes none = { 0 };
        struct store *s = t->store;

        j->outcome = write_all(s, &j->changes, lazy, j->owned);
        if (j->outcome < 0 && lazy->n && atomic_load(&s->state) == STORE_OPEN)
                j->outcome = write_all(s, &j->changes, (struct store_changes *)&none, j->owned);
        else if (!j->outcome)
                store_changes_deinit(lazy);
}

static void run_job(struct store_thread *t, struct job *j, struct store_changes *lazy) {
        switch (j->kind) {
        case JOB_COMMIT:
                run_commit(t, j, lazy);
                break;
        case JOB_CHECK:
                j->outcome = store_run_check(t->store, &j->text);
                break;
        case JOB_BACKUP:
                j->outcome = store_run_backup(t->store, j->path, &j->text);
                break;
        case JOB_RESTORE:
                j->outcome = store_run_restore(t->store, j->path, &j->text);
                break;
        case JOB_REKEY:
                j->outcome = store_run_rekey(t->store, &j->text);
                break;
        }
}

/* With the mutex held; it is let go while the disk is at work. */
static void work(struct store_thread *t, struct job *j) {
        struct store_changes lazy = { 0 }, none = { 0 };

        /* with the last that waits: what is lazy may be later than the jobs behind this one */
        if (!j || (j->kind == JOB_COMMIT && list_is_empty(&t->waiting)))
                lazy = take_lazy(t);
        uv_mutex_unlock(&t->mutex);
        if (j)
                run_job(t, j, &lazy);
        else if (write_all(t->store, &none, &lazy, store_is_owned(t->store)) == 0 ||
                 atomic_load(&t->store->state) != STORE_OPEN)
                store_changes_deinit(&lazy);
        uv_mutex_lock(&t->mutex);
        give_back_lazy(t, &lazy);
        if (j) {
                list_link_tail(&t->finished, &j->node);
                uv_async_send(t->async);
        }
}

static void wait(struct store_thread *t) {
        uint64_t now_ms = clock_now_ms();

        if (t->lazy_due_ms == OCF_NEVER)
                uv_cond_wait(&t->woken, &t->mutex);
        else if (now_ms < t->lazy_due_ms)
                (void)uv_cond_timedwait(&t->woken, &t->mutex, (t->lazy_due_ms - now_ms) * 1000000u);
}

static void run(void *argument) {
        struct store_thread *t = argument;

        uv_mutex_lock(&t->mutex);
        for (;;) {
                struct list *node = list_first(&t->waiting);

                if (node) {
                        list_unlink(node);
                        work(t, LIST_ENTRY(node, struct job, node));
                } else if (t->stop) {
                        break;
                } else if (t->lazy_due_ms <= clock_now_ms()) {
                        work(t, NULL);
                } else {
                        wait(t);
                }
        }
        if (t->lazy.n)
                work(t, NULL);
        uv_mutex_unlock(&t->mutex);
}

/* ---- on the loop's thread ---- */

static void tell(struct job *j) {
        if (j->done)
                j->done(j->context, j->outcome);
        if (j->report)
                j->report(j->context, j->outcome,
                          j->text ? j->text : "There is no memory for what was found.");
        job_free(j);
}

static void tell_finished(struct store_thread *t) {
        struct list *node;

        for (;;) {
                uv_mutex_lock(&t->mutex);
                node = list_first(&t->finished);
                if (node)
                        list_unlink(node);
                uv_mutex_unlock(&t->mutex);
                if (!node)
                        break;
                if (--t->n_pending == 0)
                        uv_unref((uv_handle_t *)t->async);
                tell(LIST_ENTRY(node, struct job, node));
        }
}

static void on_async(uv_async_t *async) {
        tell_finished(async->data);
}

static void on_closed(uv_handle_t *handle) {
        ocf_free(handle);
}

static int submit(struct store *s, struct job *j) {
        struct store_thread *t = s->thread;

        uv_mutex_lock(&t->mutex);
        remove_lazy(t, j);
        list_link_tail(&t->waiting, &j->node);
        uv_cond_signal(&t->woken);
        uv_mutex_unlock(&t->mutex);
        if (t->n_pending++ == 0)
                uv_ref((uv_handle_t *)t->async);
        return 0;
}

static int start_thread(struct store_thread *t) {
        int r = uv_async_init(t->loop, t->async, on_async);

        if (r < 0) {
                ocf_free(t->async);
                return r;
        }
        t->async->data = t;
        uv_unref((uv_handle_t *)t->async); /* what is awaited keeps the loop running, not that we are here */
        r = uv_mutex_init(&t->mutex);
        if (r < 0) {
                uv_close((uv_handle_t *)t->async, on_closed);
                return r;
        }
        r = uv_cond_init(&t->woken);
        if (!r) {
                r = uv_thread_create(&t->thread, run, t);
                if (r < 0)
                        uv_cond_destroy(&t->woken);
        }
        if (r < 0) {
                uv_mutex_destroy(&t->mutex);
                uv_close((uv_handle_t *)t->async, on_closed);
        }
        return r;
}

int store_start(struct store *s, uv_loop_t *loop) {
        struct store_thread *t = ocf_new(struct store_thread);
        int r;

        if (s->thread || !t) {
                ocf_free(t);
                return s->thread ? -EBUSY : -ENOMEM;
        }
        t->store = s;
        t->loop = loop;
        t->lazy_due_ms = OCF_NEVER;
        list_init(&t->waiting);
        list_init(&t->finished);
        t->async = ocf_new(uv_async_t);
        r = t->async ? start_thread(t) : -ENOMEM;
        if (r < 0) {
                ocf_free(t);
                return r;
        }
        s->thread = t;
        return 0;
}

void store_thread_stop(struct store *s) {
        struct store_thread *t = s->thread;

        if (!t)
                return;
        uv_mutex_lock(&t->mutex);
        t->stop = true;
        uv_cond_signal(&t->woken);
        uv_mutex_unlock(&t->mutex);
        uv_thread_join(&t->thread);
        tell_finished(t);
        uv_close((uv_handle_t *)t->async, on_closed);
        uv_cond_destroy(&t->woken);
        uv_mutex_destroy(&t->mutex);
        store_changes_deinit(&t->lazy);
        s->thread = ocf_free(t);
}

/* ---- what others ask for ---- */

static int refusal(const struct store *s) {
        if (s->thread && s->thread->stop)
                return -ESHUTDOWN;
        switch ((enum store_state)atomic_load(&s->state)) {
        case STORE_OPEN:
                return 0;
        case STORE_SEALED:
        case STORE_RESTORED:
                return -EROFS;
        case STORE_BROKEN:
                break;
        }
        return -ENOTRECOVERABLE;
}

static int commit_now(struct store *s, const struct store_change *changes, size_t n, bool owned,
                      store_done *done, void *context) {
        int r = store_write(s, changes, n, owned);

        if (done) {
                done(context, r);
                r = 0;
        }
        return r;
}

int store_commit(struct store *s, const struct store_change *changes, size_t n, bool owned, store_done *done,
                 void *context) {
        struct job *j;
        int r = refusal(s);

        if (!r && !store_changes_are_valid(changes, n))
                r = -EINVAL;
        if (r)
                return r;
        if (!s->thread)
                return commit_now(s, changes, n, owned, done, context);
        j = job_new(JOB_COMMIT);
        if (!j)
                return -ENOMEM;
        for (size_t i = 0; !r && i < n; i++)
                r = store_changes_add(&j->changes, &changes[i]);
        if (r) {
                job_free(j);
                return r;
        }
        j->owned = owned;
        j->done = done;
        j->context = context;
        return submit(s, j);
}

int store_commit_lazy(struct store *s, const struct store_change *changes, size_t n) {
        struct store_thread *t = s->thread;
        int r = refusal(s);

        if (!r && !store_changes_are_valid(changes, n))
                r = -EINVAL;
        if (r)
                return r;
        if (!t)
                return store_write(s, changes, n, store_is_owned(s));
        uv_mutex_lock(&t->mutex);
        for (size_t i = 0; !r && i < n; i++)
                r = store_changes_add(&t->lazy, &changes[i]);
        if (t->lazy.n && t->lazy_due_ms == OCF_NEVER) {
                t->lazy_due_ms = clock_now_ms() + STORE_LAZY_DELAY_MS;
                uv_cond_signal(&t->woken);
        }
        uv_mutex_unlock(&t->mutex);
        return r;
}

static int ask(struct store *s, enum job_kind kind, const char *path, store_report *report, void *context) {
        struct job *j;

        if (!s->thread || s->thread->stop)
                return -ESHUTDOWN;
        j = job_new(kind);
        if (j && path)
                j->path = ocf_duplicate_string(path);
        if (!j || (path && !j->path)) {
                job_free(j);
                return -ENOMEM;
        }
        j->report = report;
        j->context = context;
        return submit(s, j);
}

int store_check(struct store *s, store_report *report, void *context) {
        return ask(s, JOB_CHECK, NULL, report, context);
}

int store_backup(struct store *s, const char *path, store_report *report, void *context) {
        return ask(s, JOB_BACKUP, path, report, context);
}

int store_restore(struct store *s, const char *path, store_report *report, void *context) {
        return ask(s, JOB_RESTORE, path, report, context);
}

int store_rekey(struct store *s, store_report *report, void *context) {
        return ask(s, JOB_REKEY, NULL, report, context);
}

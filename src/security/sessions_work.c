#include "base/memory.h"
#include "security/sessions_private.h"

/*
 * The steps of slow keys (tls.h): which sessions have one to be run, and what
 * becomes of a session whose step is done.
 */

struct session_work {
        struct session *session; /* NULL: it has ended meanwhile */
        struct tls *tls;
};

void sessions_follow_work(struct sessions *s, struct session *c) {
        if (!c->tls->has_work)
                return;
        list_unlink(&c->work_link);
        list_link_tail(&s->with_work, &c->work_link);
}

void sessions_forget_work(struct session *c) {
        if (c->work)
                c->work->session = NULL;
        c->work = NULL;
}

struct session_work *sessions_work_begin(struct sessions *s) {
        struct session *c;
        struct session_work *w;

        if (list_is_empty(&s->with_work))
                return NULL;
        w = ocf_new(struct session_work);
        if (!w)
                return NULL; /* it waits: with memory, or until its time is over */
        c = LIST_ENTRY(s->with_work.next, struct session, work_link);
        list_unlink(&c->work_link);
        *w = (struct session_work){ .session = c, .tls = c->tls };
        c->work = w;
        tls_work_begin(c->tls);
        return w;
}

void sessions_work_run(struct session_work *w) {
        tls_work_run(w->tls);
}

struct session_work *sessions_work_done(struct session_work *w, uint64_t now_ms) {
        struct session *c = w->session;

        if (tls_work_done(w->tls, now_ms) && c) {
                c->work = NULL;
                list_link_tail(&c->table->worked, &c->work_link);
        }
        return ocf_free(w);
}

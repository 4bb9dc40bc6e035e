#include "daemon/secure_work.h"
#include "base/memory.h"

#include <errno.h>

#define STOP_STEP_MS 10u

struct secure_work {
        struct secure_work_config config;
        uv_work_t request;
        struct session_work *step; /* under way; NULL: none */
        bool stops;
};

static uint64_t now_of(const struct secure_work *w) {
        return w->config.now(w->config.context);
}

static void run(uv_work_t *request) {
        sessions_work_run(OCF_CONTAINER_OF(request, struct secure_work, request)->step);
}

/* status: it was run, or taken back before that. */
static void on_done(uv_work_t *request, int status) {
        struct secure_work *w = OCF_CONTAINER_OF(request, struct secure_work, request);

        w->step = sessions_work_done(w->step, now_of(w));
        if (w->stops)
                return;
        w->config.done(w->config.context);
        secure_work_go(w);
}

void secure_work_go(struct secure_work *w) {
        if (w->step || w->stops)
                return;
        w->step = sessions_work_begin(w->config.sessions);
        if (w->step) /* which fails without a function to run, and else never */
                (void)uv_queue_work(w->config.loop, &w->request, run, on_done);
}

bool secure_work_stop(struct secure_work *w, uint64_t max_ms) {
        uint64_t until_ms = now_of(w) + max_ms;

        w->stops = true;
        if (w->step)
                (void)uv_cancel((uv_req_t *)&w->request);
        while (w->step && now_of(w) < until_ms) {
                uv_run(w->config.loop, UV_RUN_NOWAIT);
                if (w->step)
                        uv_sleep(STOP_STEP_MS);
        }
        return !w->step;
}

int secure_work_new(struct secure_work **ret, const struct secure_work_config *config) {
        struct secure_work *w = ocf_new(struct secure_work);

        if (!w)
                return -ENOMEM;
        w->config = *config;
        *ret = w;
        return 0;
}

struct secure_work *secure_work_free(struct secure_work *w) {
        return ocf_free(w);
}

#include "daemon/key_opening.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <uv.h>

/* Whoever comes last, the thread or who waits for it, frees it. */
struct opening {
        uv_mutex_t mutex;
        uv_cond_t changed;
        bool is_done, is_forgotten;
        char *provider, *uri;
        struct provided_key *key;
        int outcome;
        char detail[PROVIDED_KEY_DETAIL];
};

static void opening_free(struct opening *o) {
        provided_key_free(o->key);
        uv_mutex_destroy(&o->mutex);
        uv_cond_destroy(&o->changed);
        ocf_free(o->provider);
        ocf_free(o->uri);
        ocf_free(o);
}

static void run(void *context) {
        struct opening *o = context;
        bool is_last;

        o->outcome = provided_key_open(&o->key, o->provider, o->uri, o->detail);
        uv_mutex_lock(&o->mutex);
        o->is_done = true;
        is_last = o->is_forgotten;
        uv_cond_signal(&o->changed);
        uv_mutex_unlock(&o->mutex);
        if (is_last)
                opening_free(o);
}

static struct opening *opening_new(const char *provider, const char *uri) {
        struct opening *o = ocf_new(struct opening);

        if (!o)
                return NULL;
        uv_mutex_init(&o->mutex);
        uv_cond_init(&o->changed);
        o->provider = ocf_duplicate_string(provider);
        o->uri = ocf_duplicate_string(uri);
        if (o->provider && o->uri)
                return o;
        opening_free(o);
        return NULL;
}

/* Return: whether it is done; otherwise it is the thread's from now on. */
static bool await(struct opening *o, uint64_t max_ms) {
        uint64_t until_ns = uv_hrtime() + max_ms * 1000000, now_ns;
        bool is_done;

        uv_mutex_lock(&o->mutex);
        while (!o->is_done && (now_ns = uv_hrtime()) < until_ns)
                (void)uv_cond_timedwait(&o->changed, &o->mutex, until_ns - now_ns);
        is_done = o->is_done;
        o->is_forgotten = !is_done;
        uv_mutex_unlock(&o->mutex);
        return is_done;
}

int key_opening(struct provided_key **ret, const char *provider, const char *uri, uint64_t max_ms,
                char detail[static PROVIDED_KEY_DETAIL]) {
        struct opening *o = opening_new(provider, uri);
        uv_thread_t thread;
        int r;

        detail[0] = 0;
        if (!o)
                return -ENOMEM;
        r = uv_thread_create(&thread, run, o);
        if (r < 0) {
                opening_free(o);
                return r;
        }
        if (!await(o, max_ms)) {
                pthread_detach(thread);
                return -ETIMEDOUT;
        }
        uv_thread_join(&thread);
        r = o->outcome;
        memcpy(detail, o->detail, PROVIDED_KEY_DETAIL);
        *ret = o->key;
        o->key = NULL;
        opening_free(o);
        return r;
}

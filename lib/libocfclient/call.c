#include "client_private.h"

#include <errno.h>
#include <string.h>

/*
 * Requests to resources of others: their object is asked for, then the method
 * is called on it. Each ends with exactly one callback: with the answer, when its time
 * is over, when the daemon or the bus goes, or when the client is freed.
 */

/* The daemon says itself that time is up; this much later we no longer believe that it will. */
#define GRACE_US          2000000u
#define LOCAL_TIMEOUT_MS  5000u
#define REMOTE_TIMEOUT_MS 15000u

/* ---- made and ended ---- */

static void call_free(struct call *call) {
        list_unlink(&call->link);
        sd_bus_slot_unref(call->slot);
        target_clear(&call->target);
        ocf_free((void *)call->payload.data);
        ocf_free(call);
}

static void call_freep(struct call **call) {
        if (*call)
                call_free(*call);
}

static void finish(struct call *call, int result, const char *text, const struct ocf_value *value) {
        ocf_answer_fn fn = call->fn;
        void *userdata = call->userdata;

        call_free(call);
        fn(userdata, result, text, value);
}

/* Another device may have to wake up, and a session with it to be made. */
static uint64_t timeout_of(const struct call *call) {
        if (call->client->timeout_ms)
                return call->client->timeout_ms;
        return call->target.device ? REMOTE_TIMEOUT_MS : LOCAL_TIMEOUT_MS;
}

static int call_new(struct ocf_client *c, enum ocf_method method, const char *uri,
                    const struct ocf_value *value, ocf_answer_fn fn, void *userdata) {
        OCF_CLEANUP(call_freep) struct call *call = NULL;
        int r;

        if (!c || !fn)
                return -EINVAL;
        if (c->is_dead)
                return -ECANCELED;
        call = ocf_new(struct call);
        if (!call)
                return -ENOMEM;
        list_init(&call->link);
        r = target_parse(&call->target, uri);
        if (!r && value)
                r = value_to_rep(value, &call->payload);
        if (r)
                return r;
        call->client = c;
        call->method = method;
        call->fn = fn;
        call->userdata = userdata;
        call->due_us = client_now_us() + timeout_of(call) * 1000;
        list_link_tail(&c->calls, &call->link);
        call = NULL;
        client_wake(c);
        return 0;
}

/* ---- on the bus ---- */

static void fail(struct call *call, int error) {
        finish(call, error == -ENOMEM ? error : OCF_E_UNAVAILABLE, "The request cannot be sent over the bus",
               NULL);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct call *call = userdata;
        OCF_CLEANUP(value_freep) struct ocf_value *value = NULL;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *text;
        int r;

        if (e) {
                r = message_result(call->client, e, &text);
                finish(call, r, text, NULL);
                return 0;
        }
        r = call->method == OCF_DELETE ? 0 : message_read_value(m, "", &value);
        if (r)
                finish(call, r == -ENOMEM ? r : OCF_E_FAILED, "The answer has no value that can be read",
                       NULL);
        else
                finish(call, 0, "", value);
        return 0;
}

static int append_options(sd_bus_message *m, const struct call *call, uint32_t timeout_ms) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        /* RemoteDevice1 has no Create: that is an update through this interface */
        if (r >= 0 && call->target.device && call->method == OCF_CREATE)
                r = sd_bus_message_append(m, "{sv}", "interface", "s", "oic.if.create");
        if (r >= 0 && call->target.query)
                r = sd_bus_message_append(m, "{sv}", "query", "s", call->target.query);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "timeout_ms", "u", timeout_ms ? timeout_ms : 1u);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int ask(struct call *call, const char *path) {
        static const char *const members[] = {
                [OCF_RETRIEVE] = "Retrieve",
                [OCF_UPDATE] = "Update",
                [OCF_CREATE] = "Create",
                [OCF_DELETE] = "Delete",
        };
        struct ocf_client *c = call->client;
        bool is_remote = call->target.device;
        const char *member = is_remote && call->method == OCF_CREATE ? "Update" : members[call->method];
        uint64_t now_us = client_now_us(), left_us = call->due_us > now_us ? call->due_us - now_us : 0;
        sd_bus_message *m = NULL;
        int r = message_new(c, &m, path, is_remote ? BUS_REMOTE : BUS_RESOURCE, member);

        if (r >= 0 && is_remote)
                r = sd_bus_message_append_basic(m, 's', call->target.href);
        if (r >= 0 && call->payload.data)
                r = message_append_rep(m, call->payload);
        if (r >= 0)
                r = append_options(m, call, (uint32_t)(left_us / 1000));
        if (r >= 0)
                r = sd_bus_call_async(c->bus, &call->slot, m, on_answer, call, left_us + GRACE_US);
        sd_bus_message_unref(m);
        return r < 0 ? r : 0;
}

static int on_resource(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct call *call = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *path, *text;
        int r;

        call->slot = sd_bus_slot_unref(call->slot);
        if (e) {
                r = message_result(call->client, e, &text);
                finish(call, r, text, NULL);
                return 0;
        }
        r = sd_bus_message_read_basic(m, 'o', &path);
        if (r >= 0)
                r = ask(call, path);
        if (r < 0)
                fail(call, r);
        return 0;
}

/* ---- */

static uint64_t end_us(const struct call *call) {
        return call->slot ? call->due_us + GRACE_US : call->due_us;
}

static struct call *first_unsent(const struct ocf_client *c) {
        LIST_FOR_EACH(i, &c->calls) {
                struct call *call = LIST_ENTRY(i, struct call, link);

                if (!call->slot)
                        return call;
        }
        return NULL;
}

static struct call *first_due(const struct ocf_client *c, uint64_t now_us) {
        LIST_FOR_EACH(i, &c->calls) {
                struct call *call = LIST_ENTRY(i, struct call, link);

                if (end_us(call) <= now_us)
                        return call;
        }
        return NULL;
}

bool call_step(struct ocf_client *c, uint64_t now_us) {
        char sentence[SENTENCE_MAX];
        struct call *call = first_due(c, now_us);
        int r;

        if (call) {
                finish(call, OCF_E_TIMEOUT, "There was no answer in time", NULL);
                return true;
        }
        client_set_state(c);
        if (c->state == OCF_STATE_CONNECTING && c->daemon != DAEMON_PRESENT)
                return false;
        call = first_unsent(c);
        if (!call)
                return false;
        if (c->daemon != DAEMON_PRESENT) {
                finish(call, OCF_E_UNAVAILABLE, message_absent_text(c, sentence, sizeof(sentence)), NULL);
                return true;
        }
        r = target_find(c, &call->slot, &call->target, on_resource, call);
        if (r)
                fail(call, r);
        return true;
}

uint64_t call_due(const struct ocf_client *c) {
        uint64_t due_us = OCF_NEVER;

        LIST_FOR_EACH(i, &c->calls)
        due_us = ocf_min_u64(due_us, end_us(LIST_ENTRY(i, struct call, link)));
        return due_us;
}

/* Those that were sent; the others have not been anywhere yet. */
void call_lost(struct ocf_client *c) {
        struct list lost = LIST_INIT(lost);

        LIST_FOR_EACH_SAFE(i, &c->calls) {
                struct call *call = LIST_ENTRY(i, struct call, link);

                if (!call->slot)
                        continue;
                call->slot = sd_bus_slot_unref(call->slot);
                list_unlink(i);
                list_link_tail(&lost, i);
        }
        while (!list_is_empty(&lost))
                finish(LIST_ENTRY(list_first(&lost), struct call, link), OCF_E_UNAVAILABLE,
                       "ocfd went away before it had answered: the request may have been done", NULL);
}

void call_cancel_all(struct ocf_client *c) {
        while (!list_is_empty(&c->calls))
                finish(LIST_ENTRY(list_first(&c->calls), struct call, link), -ECANCELED, "The client is gone",
                       NULL);
}

/* ---- what programs call ---- */

int ocf_retrieve(struct ocf_client *c, const char *uri, ocf_answer_fn fn, void *userdata) {
        return call_new(c, OCF_RETRIEVE, uri, NULL, fn, userdata);
}

int ocf_update(struct ocf_client *c, const char *uri, const struct ocf_value *value, ocf_answer_fn fn,
               void *userdata) {
        return value ? call_new(c, OCF_UPDATE, uri, value, fn, userdata) : -EINVAL;
}

int ocf_create(struct ocf_client *c, const char *uri, const struct ocf_value *value, ocf_answer_fn fn,
               void *userdata) {
        return value ? call_new(c, OCF_CREATE, uri, value, fn, userdata) : -EINVAL;
}

int ocf_delete(struct ocf_client *c, const char *uri, ocf_answer_fn fn, void *userdata) {
        return call_new(c, OCF_DELETE, uri, NULL, fn, userdata);
}

/* ---- and those that wait ---- */

struct waiter {
        struct ocf_client *client;
        struct ocf_value **ret;
        int result;
        bool is_done;
};

static void on_done(void *userdata, int result, const char *text, const struct ocf_value *value) {
        struct waiter *w = userdata;
        struct ocf_value *copy = NULL;

        w->is_done = true;
        w->result = result;
        if (!result && w->ret && value)
                w->result = ocf_value_copy(&copy, value);
        if (!w->result && w->ret)
                *w->ret = copy;
        if (w->result && result != -ECANCELED) {
                ocf_free(w->client->wait_text);
                w->client->wait_text = ocf_duplicate_string(text);
        }
}

/* It shall not find a stack frame that is gone. */
static void forget(struct ocf_client *c, const struct waiter *w) {
        LIST_FOR_EACH_SAFE(i, &c->calls) {
                struct call *call = LIST_ENTRY(i, struct call, link);

                if (call->userdata == w)
                        call_free(call);
        }
}

static int wait_for(struct ocf_client *c, enum ocf_method method, const char *uri,
                    const struct ocf_value *value, struct ocf_value **ret) {
        struct waiter w = { .client = c, .ret = ret };
        int r;

        if (c && c->depth)
                return -EBUSY;
        r = call_new(c, method, uri, value, on_done, &w);
        while (!r && !w.is_done) {
                r = ocf_client_process(c);
                if (w.is_done)
                        return w.result; /* the client may be gone */
                if (!r)
                        r = ocf_client_wait(c, -1);
                r = r == -EINTR || r > 0 ? 0 : r;
        }
        if (r && c)
                forget(c, &w);
        return r;
}

int ocf_retrieve_wait(struct ocf_client *c, const char *uri, struct ocf_value **ret) {
        return wait_for(c, OCF_RETRIEVE, uri, NULL, ret);
}

int ocf_update_wait(struct ocf_client *c, const char *uri, const struct ocf_value *value,
                    struct ocf_value **ret) {
        return value ? wait_for(c, OCF_UPDATE, uri, value, ret) : -EINVAL;
}

int ocf_create_wait(struct ocf_client *c, const char *uri, const struct ocf_value *value,
                    struct ocf_value **ret) {
        return value ? wait_for(c, OCF_CREATE, uri, value, ret) : -EINVAL;
}

int ocf_delete_wait(struct ocf_client *c, const char *uri) {
        return wait_for(c, OCF_DELETE, uri, NULL, NULL);
}

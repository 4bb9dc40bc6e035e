#include "../unit.h"
#include "world.h"
#include "protocol/rep.h"

#include <stdio.h>
#include <unistd.h>

/* The part of the world that is on the network: what the daemon's client and onboarding tool would do. */

/* ---- devices ---- */

struct uuid world_id(uint8_t id) {
        return (struct uuid){ { id, 0x22, 0x33, 0x44, 0x55, 0x66, 0x47, 0x88, 0x89, 0, 0, 0, 0, 0, 0, id } };
}

static void put_link(struct writer *w, const struct uuid *id, const char *href, const char *type) {
        char anchor[64], endpoint[64], text[UUID_TEXT_MAX];

        snprintf(endpoint, sizeof(endpoint), "coaps://[fe80::7]:%u",
                 5677u + id->bytes[15]); /* each its own */
        snprintf(anchor, sizeof(anchor), "ocf://%s", uuid_format(id, text));
        rep_put_map(w, 6);
        rep_put_string(w, "anchor");
        rep_put_string(w, anchor);
        rep_put_string(w, "href");
        rep_put_string(w, href);
        rep_put_string(w, "rt");
        rep_put_array(w, 1);
        rep_put_string(w, type);
        rep_put_string(w, "if");
        rep_put_array(w, 2);
        rep_put_string(w, "oic.if.a");
        rep_put_string(w, "oic.if.baseline");
        rep_put_string(w, "p");
        rep_put_map(w, 1);
        rep_put_string(w, "bm");
        rep_put_uint(w, 3);
        rep_put_string(w, "eps");
        rep_put_array(w, 1);
        rep_put_map(w, 1);
        rep_put_string(w, "ep");
        rep_put_string(w, endpoint);
}

static void learn_name(struct world *w, const struct uuid *id, const char *name) {
        uint8_t buf[256];
        struct writer rep = writer_on(buf, sizeof(buf));

        rep_put_map(&rep, 2);
        rep_put_string(&rep, "n");
        rep_put_string(&rep, name);
        rep_put_string(&rep, "icv");
        rep_put_string(&rep, "ocf.2.2.5");
        assert_true(remotes_learn_device(w->net.remotes, 1, id, writer_span(&rep)) >= 0);
}

const char *world_remote(struct world *w, uint8_t id_byte, const char *name, unsigned n_resources) {
        static char path[BUS_PATH_MAX];
        static uint8_t buf[256 * 1024];
        struct uuid id = world_id(id_byte);
        struct coap_peer from = { .remote_port = 5683, .interface = 2 };
        struct writer rep = writer_on(buf, sizeof(buf));
        char href[16];

        from.remote_ip[0] = 0xfe;
        from.remote_ip[1] = 0x80;
        from.remote_ip[15] = 7;
        rep_put_array(&rep, n_resources);
        for (unsigned i = 1; i <= n_resources; i++) {
                snprintf(href, sizeof(href), "/r%u", i);
                put_link(&rep, &id, href, i == 1 ? "oic.d.light" : "oic.r.switch.binary");
        }
        assert_int_equal(remotes_learn_res(w->net.remotes, 1, &from, writer_span(&rep), true), 1);
        learn_name(w, &id, name);
        bus_remote_path(path, &id);
        return path;
}

bool world_client_work(struct world *w) {
        struct remote_event event;
        bool any = false;

        while (bus_takes_news(w->bus) && remotes_event(w->net.remotes, &event)) {
                bus_tell_remote(w->bus, &event);
                any = true;
        }
        return any;
}

/* ---- looking for devices ---- */

static bool fake_discovering(void *context) {
        return ((struct world *)context)->net.discovering;
}

static int begin_round(struct world *w, uint32_t timeout_ms, bus_heard *done, void *done_context,
                       const char **ret_why) {
        *ret_why = w->net.why;
        if (w->net.outcome)
                return w->net.outcome;
        w->net.n_rounds++;
        w->net.timeout_ms = timeout_ms;
        w->net.heard = done;
        w->net.heard_context = done_context;
        if (w->net.answers_at_once)
                done(done_context, FAULT_NONE, NULL, NULL, 0);
        return 0;
}

static int fake_discover(void *context, const struct bus_caller *caller, uint32_t timeout_ms, bus_heard *done,
                         void *done_context, const char **ret_why) {
        assert_int_equal(caller->uid, getuid());
        return begin_round(context, timeout_ms, done, done_context, ret_why);
}

static int fake_add_address(void *context, const char *address, uint32_t timeout_ms, bus_heard *done,
                            void *done_context, const char **ret_why) {
        struct world *w = context;

        snprintf(w->net.address, sizeof(w->net.address), "%s", address);
        return begin_round(w, timeout_ms, done, done_context, ret_why);
}

static int fake_remove_address(void *context, const char *address) {
        struct world *w = context;

        snprintf(w->net.address, sizeof(w->net.address), "%s", address);
        return w->net.outcome;
}

static size_t fake_addresses(void *context, const char *const **ret) {
        struct world *w = context;

        *ret = w->net.addresses;
        return w->net.n_addresses;
}

static int fake_refresh(void *context, const struct bus_caller *caller, const struct uuid *device,
                        bus_heard *done, void *done_context, const char **ret_why) {
        struct world *w = context;

        w->net.heard_device = *device;
        return begin_round(w, 0, done, done_context, ret_why);
}

static int fake_forget(void *context, const struct uuid *device) {
        struct world *w = context;

        if (w->net.outcome)
                return w->net.outcome;
        w->net.n_forgotten++;
        remote_forget(remotes_find(w->net.remotes, device));
        return 0;
}

static const char *fake_session(void *context, const struct uuid *device) {
        return "psk";
}

static enum bus_mode fake_mode(void *context, const struct uuid *device, const char *href) {
        struct world *w = context;

        return w->net.n_observers ? w->net.value.mode : BUS_MODE_NONE;
}

/* ---- requests ---- */

static void fake_request(void *context, const struct bus_caller *caller, const struct uuid *device,
                         enum bus_channel_wish wish, struct call *call) {
        struct world *w = context;
        const struct ocf_request *q = &call->request;

        w->net.device = *device;
        w->net.wish = wish;
        w->net.accept = q->accept;
        w->net.method = q->method;
        w->net.timeout_of_request_ms = call->deadline_ms - w->control.now(w);
        snprintf(w->net.path, sizeof(w->net.path), "%.*s", (int)q->path.n, (const char *)q->path.data);
        snprintf(w->net.query, sizeof(w->net.query), "%.*s", (int)q->query.n, (const char *)q->query.data);
        w->net.n_payload = ocf_min_u64(q->payload.n, sizeof(w->net.payload));
        if (w->net.n_payload)
                memcpy(w->net.payload, q->payload.data, w->net.n_payload);
        if (w->holds)
                list_link_tail(&w->held, &call->link);
        else
                call_answer(call, &w->net.response);
}

/* ---- following ---- */

static int fake_observe(void *context, const struct bus_caller *caller, const struct bus_observe_spec *spec,
                        struct bus_observer *o, const char **ret_why) {
        struct world *w = context;

        w->net.device = spec->device;
        w->net.poll_ms = spec->poll_ms;
        snprintf(w->net.path, sizeof(w->net.path), "%s", spec->href);
        snprintf(w->net.query, sizeof(w->net.query), "%s", spec->query);
        *ret_why = w->net.why;
        if (w->net.outcome)
                return w->net.outcome;
        list_link_tail(&w->net.observers, &o->link);
        w->net.n_observers++;
        if (w->net.answers_at_once) {
                if (w->net.value.response->fault) {
                        list_unlink(&o->link);
                        w->net.n_observers--;
                }
                o->notified(o, &w->net.value);
        }
        return 0;
}

static void fake_unobserve(void *context, struct bus_observer *o) {
        struct world *w = context;

        assert_true(list_is_linked(&o->link));
        list_unlink(&o->link);
        w->net.n_observers--;
        w->net.n_unobserved++;
}

static void fake_repeat(void *context, struct bus_observer *o) {
        struct world *w = context;

        w->net.n_repeated++;
        o->notified(o, &w->net.value);
}

static void push(struct world *w) {
        LIST_FOR_EACH_SAFE(i, &w->net.observers) {
                struct bus_observer *o = LIST_ENTRY(i, struct bus_observer, link);

                if (w->net.value.response->fault) {
                        list_unlink(&o->link);
                        w->net.n_observers--;
                }
                o->notified(o, &w->net.value);
        }
}

void world_push(struct world *w, enum bus_mode mode, bool gap, struct span rep) {
        w->net.response = OCF_RESPONSE_OK(COAP_CONTENT);
        w->net.response.rep = rep;
        w->net.value.mode = mode;
        w->net.value.gap = gap;
        w->net.value.sequence++;
        push(w);
}

void world_push_fault(struct world *w, enum fault fault) {
        w->net.response = OCF_RESPONSE_FAULT(fault);
        push(w);
}

/* ---- the onboarding tool ---- */

static void fake_tool_status(void *context, struct bus_tool_status *ret) {
        *ret = ((struct world *)context)->net.tool;
}

static void note(struct world *w, const char *name, const char *text) {
        size_t n = strlen(w->net.asked);

        if (text)
                snprintf(w->net.asked + n, sizeof(w->net.asked) - n, " %s=%s", name, text);
}

static void note_request(struct world *w, const struct bus_tool_request *q) {
        snprintf(w->net.asked, sizeof(w->net.asked), "%d device=%02x other=%02x number=%d flag=%d",
                 (int)q->operation, q->device.bytes[0], q->other.bytes[0], q->number, q->flag);
        for (size_t i = 0; q->texts && q->texts[i]; i++)
                note(w, "in", q->texts[i]);
        note(w, "text", q->text);
        note(w, "subject", q->subject);
        note(w, "usage", q->usage);
        note(w, "cis", q->cis);
        note(w, "sid", q->sid);
        note(w, "apn", q->apn);
        note(w, "at", q->at);
}

static int fake_tool_start(void *context, const struct bus_caller *caller, const struct bus_tool_request *q,
                           uint32_t *ret_job, enum fault *ret_fault, const char **ret_why) {
        struct world *w = context;

        note_request(w, q);
        *ret_fault = w->net.fault;
        *ret_why = w->net.why;
        if (w->net.outcome)
                return w->net.outcome;
        w->net.n_started++;
        *ret_job = w->net.next_job;
        if (!w->net.next_job)
                return 0;
        w->net.jobs[w->net.n_jobs++] = (struct bus_job){ .number = w->net.next_job++,
                                                         .operation = "own",
                                                         .state = "waiting",
                                                         .step = "",
                                                         .message = "",
                                                         .device = q->device,
                                                         .n_steps = 9 };
        if (w->net.tells_inside)
                bus_tell_job(w->bus, *ret_job);
        return 0;
}

static struct bus_job *job_find(struct world *w, uint32_t number) {
        for (size_t i = 0; i < w->net.n_jobs; i++)
                if (w->net.jobs[i].number == number)
                        return &w->net.jobs[i];
        return NULL;
}

static bool fake_job(void *context, uint32_t number, struct bus_job *ret) {
        const struct bus_job *job = job_find(context, number);

        if (job)
                *ret = *job;
        return job;
}

static size_t fake_jobs(void *context, const uint32_t **ret) {
        static uint32_t numbers[WORLD_JOBS_MAX];
        struct world *w = context;

        for (size_t i = 0; i < w->net.n_jobs; i++)
                numbers[i] = w->net.jobs[i].number;
        *ret = numbers;
        return w->net.n_jobs;
}

static void fake_job_cancel(void *context, uint32_t number) {
        struct world *w = context;

        w->net.n_cancelled++;
        world_job(w, number, "cancelled", "");
}

static void fake_job_pin(void *context, uint32_t number, const char *pin) {
        struct world *w = context;

        w->net.n_pins++;
        w->net.pin_job = number;
        snprintf(w->net.pin, sizeof(w->net.pin), "%s", pin ? pin : "-");
}

void world_job(struct world *w, uint32_t number, const char *state, const char *step) {
        struct bus_job *job = job_find(w, number);

        if (!job) {
                assert_true(w->net.n_jobs < WORLD_JOBS_MAX);
                job = &w->net.jobs[w->net.n_jobs++];
                *job = (struct bus_job){
                        .number = number, .operation = "own", .device = world_id(7), .n_steps = 9
                };
        }
        job->state = state;
        job->step = step;
        job->succeeded = strcmp(state, "done") == 0;
        job->is_over = job->succeeded || strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
        job->message = job->is_over ? "That is how it ended" : "";
        if (job->succeeded)
                job->result = world_id(8);
        bus_tell_job(w->bus, number);
}

void world_job_forget(struct world *w, uint32_t number) {
        struct bus_job *job = job_find(w, number);

        *job = w->net.jobs[--w->net.n_jobs];
        bus_tell_job(w->bus, number);
}

/* ---- what is told ---- */

static void log_word(struct world_log *log, const char *word, const char *path) {
        size_t n = strlen(log->text);

        if (strncmp(path, "/org/ocfd", 9) == 0)
                path += 9;
        snprintf(log->text + n, sizeof(log->text) - n, "%s:%s ", word, path);
}

static int log_changes(sd_bus_message *m, struct world_log *log) {
        const char *interface, *name;

        assert_true(sd_bus_message_read(m, "s", &interface) > 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(m, "s", &name) > 0);
                assert_true(sd_bus_message_skip(m, "v") >= 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
                log_word(log, name, sd_bus_message_get_path(m));
        }
        return 0;
}

static int log_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *member = sd_bus_message_get_member(m), *path;

        if (strcmp(member, "PropertiesChanged") == 0)
                return log_changes(m, userdata);
        if (strcmp(member, "InterfacesAdded") == 0 || strcmp(member, "InterfacesRemoved") == 0) {
                assert_true(sd_bus_message_read(m, "o", &path) > 0);
                log_word(userdata, member + strlen("Interfaces"), path);
        } else {
                log_word(userdata, member, sd_bus_message_get_path(m));
        }
        return 0;
}

void world_log(struct world *w, sd_bus *client, struct world_log *log) {
        memset(log, 0, sizeof(*log));
        world_settle(w); /* what was before is not in it */
        assert_true(sd_bus_add_match_async(client, NULL, "type='signal',sender='org.ocfd'", log_signal, NULL,
                                           log) >= 0);
        world_settle(w);
}

/* ---- all of it ---- */

void world_client_fill(struct world *w) {
        const struct remotes_config config = { REMOTES_DEFAULT };

        assert_int_equal(remotes_new(&w->net.remotes, &config), 0);
        list_init(&w->net.observers);
        w->net.tool.authority = "";
        w->net.next_job = 1;
        w->net.value.response = &w->net.response;
        w->net.response = OCF_RESPONSE_OK(COAP_CONTENT);
        w->control.client = (struct bus_client_control){
                .remotes = w->net.remotes,
                .discovering = fake_discovering,
                .discover = fake_discover,
                .add_address = fake_add_address,
                .remove_address = fake_remove_address,
                .addresses = fake_addresses,
                .refresh = fake_refresh,
                .forget = fake_forget,
                .session = fake_session,
                .mode = fake_mode,
                .request = fake_request,
                .observe = fake_observe,
                .unobserve = fake_unobserve,
                .repeat = fake_repeat,
                .tool_status = fake_tool_status,
                .tool_start = fake_tool_start,
                .job = fake_job,
                .jobs = fake_jobs,
                .job_cancel = fake_job_cancel,
                .job_pin = fake_job_pin,
        };
}

void world_client_free(struct world *w) {
        assert_int_equal(w->net.n_observers, 0); /* the bus has let go of all */
        w->net.remotes = remotes_free(w->net.remotes);
}

#include "daemon/jobs.h"
#include "base/memory.h"
#include "daemon/clock.h"
#include "daemon/daemon_private.h"
#include "daemon/diag.h"
#include "security/certificate.h"
#include "security/crypto.h"
#include "security/obt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REQUEST_MS  25000u /* four transmissions (RFC 7252, 4.8) */
#define CONNECT_MS  25000u
#define PIN_S       120u
#define KEPT_MS     60000u /* one that is over can be looked at for so long */
#define RUNNING_MAX 8u     /* at once: the others wait their turn, so that each has its answers in time */

struct job {
        struct list link;
        struct jobs *jobs;
        uint32_t number;
        const char *operation;
        struct uuid devices[2]; /* as they were called when it began */
        size_t n_devices;
        struct uuid now; /* the first one, as it is called now */
        struct obt_config config;
        struct obt_flow *flow; /* NULL: it waits its turn, or is over */
        struct out_channel *clear, *transfer;
        struct out_channel *asked; /* of the request under way */
        struct out_request *request;
        char *pin;
        enum { JOB_WAITING, JOB_RUNNING, JOB_PIN, JOB_DONE, JOB_FAILED } state;
        bool was_cancelled, is_storing, is_driving;
        uint64_t pause_until, over_ms;
        char step[32], message[512];
        unsigned i_step, n_steps;
        bool undoing;
        uint8_t *texts; /* what config points to */
        struct authority_role roles[AUTHORITY_ROLES_MAX];
        struct span hrefs[ACE_RESOURCES_MAX];
};

struct jobs {
        struct daemon *daemon;
        struct list list;
        uint32_t last_number, *numbers;
        size_t n, n_numbers;
};

static const char *const operations[_BUS_TOOL_N] = {
        [BUS_TOOL_INITIALIZE] = "initialize",
        [BUS_TOOL_OWN] = "own",
        [BUS_TOOL_RESET] = "reset",
        [BUS_TOOL_SET_STATE] = "set-state",
        [BUS_TOOL_PAIR] = "pair",
        [BUS_TOOL_ISSUE_IDENTITY] = "issue-identity",
        [BUS_TOOL_ISSUE_ROLE] = "issue-role",
        [BUS_TOOL_ADD_TRUST_ANCHOR] = "add-trust-anchor",
        [BUS_TOOL_ADD_ACCESS] = "add-access",
        [BUS_TOOL_REMOVE_ACCESS] = "remove-access",
        [BUS_TOOL_REMOVE_CREDENTIAL] = "remove-credential",
        [BUS_TOOL_CONFIGURE_CLOUD] = "configure-cloud",
        [BUS_TOOL_SET_DOMAIN] = "set-domain",
        [BUS_TOOL_ADD_MANUFACTURER_ANCHOR] = "add-manufacturer-anchor",
};

static bool is_over(const struct job *j) {
        return j->state == JOB_DONE || j->state == JOB_FAILED;
}

static void tell(struct job *j) {
        if (j->jobs->daemon->bus)
                bus_tell_job(j->jobs->daemon->bus, j->number);
}

static void drive(struct job *j);

/* ---- ends ---- */

static void drop_channels(struct job *j) {
        j->request = out_cancel(j->request);
        j->asked = out_channel_release(j->asked);
        j->clear = out_channel_release(j->clear);
        j->transfer = out_channel_release(j->transfer);
}

static void job_free(struct job *j) {
        uint32_t number = j->number;
        struct jobs *jobs = j->jobs;

        drop_channels(j);
        obt_flow_free(j->flow);
        list_unlink(&j->link);
        if (j->pin)
                secret_wipe(j->pin, strlen(j->pin));
        ocf_free(j->pin);
        ocf_free(j->texts);
        ocf_free(j);
        jobs->n--;
        if (jobs->daemon->bus)
                bus_tell_job(jobs->daemon->bus, number); /* it is no more */
}

static void after_success(struct job *j) {
        struct client *c = j->jobs->daemon->client;
        struct remote_device *d = remotes_find(client_remotes(c), &j->now);

        if (!d)
                return;
        if (j->config.operation == OBT_RESET) {
                remote_forget(d); /* it has another name from now on */
                return;
        }
        if (j->config.operation == OBT_OWN)
                remote_is_owned(d);
        remote_owned_by_us(d);
        (void)client_refresh(c, &j->now, NULL, NULL);
}

static void end(struct job *j, bool succeeded, const char *text) {
        char id[UUID_TEXT_MAX];

        j->state = succeeded ? JOB_DONE : JOB_FAILED;
        snprintf(j->message, sizeof(j->message), "%s", text);
        j->over_ms = clock_now_ms();
        drop_channels(j);
        j->flow = obt_flow_free(j->flow);
        diag_log(succeeded ? LOG_NOTICE : LOG_WARNING, "Onboarding tool: %s of %s: %s", j->operation,
                 uuid_format(&j->now, id), j->message);
        if (succeeded)
                after_success(j);
        bus_tell_tool(j->jobs->daemon->bus);
        tell(j);
}

/* ---- what the flow wants ---- */

static void on_answer(void *context, const struct out_result *result) {
        struct job *j = context;
        struct span rep = SPAN_NULL;

        j->request = NULL;
        if (!j->flow)
                return;
        if (result->outcome == OUT_ANSWERED && result->reply) {
                (void)client_read(j->jobs->daemon->client, result->reply, &rep);
                obt_flow_answer(j->flow, result->reply->code, rep, NULL);
        } else {
                obt_flow_answer(j->flow, 0, rep, result->why);
        }
        j->asked = out_channel_release(j->asked);
        drive(j);
}

static int channel_for(struct job *j, const struct obt_want *w, struct out_channel **ret, const char **why) {
        struct client *c = j->jobs->daemon->client;

        switch (w->channel) {
        case OBT_CLEAR:
                return client_channel(c, &w->device, BUS_CLEAR_ONLY, ret, why);
        case OBT_OWNER:
                return client_owner_channel(c, &w->device, ret, why);
        case OBT_TRANSFER:
                break;
        }
        *why = "the session is over";
        if (!j->transfer)
                return -ENOENT;
        *ret = out_channel_hold(j->transfer);
        return 0;
}

static bool send_request(struct job *j, const struct obt_want *w) {
        struct coap_ask ask = COAP_ASK_DEFAULT;
        const char *why = "there is no memory for it";
        int r;

        ask.method = w->method;
        ask.path = span_of_string(w->path);
        ask.query = span_of_string(w->query);
        ask.payload = w->payload;
        ask.ocf_version = true;
        ask.accept = COAP_FORMAT_OCF_CBOR;
        if (w->payload.n)
                ask.content_format = COAP_FORMAT_OCF_CBOR;
        r = channel_for(j, w, &j->asked, &why);
        if (!r)
                r = out_request(j->asked, &ask, REQUEST_MS, on_answer, j, &j->request);
        if (!r)
                return true;
        j->asked = out_channel_release(j->asked);
        obt_flow_answer(j->flow, 0, SPAN_NULL, why);
        return false;
}

static void on_connected(void *context, const struct out_result *result) {
        struct job *j = context;
        const struct session *s = j->transfer ? out_channel_session(j->transfer) : NULL;
        struct tls_secrets secrets;

        j->request = NULL;
        if (!j->flow)
                return;
        if (result->outcome == OUT_ANSWERED && s && tls_secrets(s->tls, &secrets)) {
                obt_flow_connected(j->flow, &secrets, NULL);
                secret_wipe(&secrets, sizeof(secrets));
        } else {
                obt_flow_connected(j->flow, NULL, result->why ? result->why : "no session came about");
        }
        drive(j);
}

static int session_for(struct job *j, const struct obt_want *w, struct out_spec *spec) {
        struct daemon *d = j->jobs->daemon;
        struct session_connect *how = &spec->how;
        struct span anchors = keyring_anchors(tool_keyring(d->tool));

        *how = (struct session_connect){ .transfer = true, .credid = CRED_ID_NONE };
        switch (w->transfer) {
        case SVR_JUST_WORKS:
                how->suite = TLS_ECDH_ANON_AES_128_CBC_SHA256;
                return 0;
        case SVR_RANDOM_PIN:
                how->suite = TLS_ECDHE_PSK_AES_128_CBC_SHA256;
                how->identity = span_of_string(KEY_PIN_IDENTITY);
                how->key = w->key;
                return 0;
        case SVR_MANUFACTURER:
                return anchors.n
                               ? secure_client_certificate(d->secure, spec->device, spec->addresses[0].stream,
                                                           anchors, clock_now_ms(), daemon_wall(d), &how->tls)
                               : -ENOENT;
        case SVR_NO_TRANSFER:
                break;
        }
        return -EINVAL;
}

/* A handshake with certificates is made for one kind of address; else the first connection is the last way.
 */
static void keep_addresses(struct out_spec *spec, enum svr_transfer method) {
        size_t n = spec->n_addresses;

        spec->n_addresses = 1;
        for (size_t i = 1; i < n && method != SVR_MANUFACTURER && spec->n_addresses == 1; i++)
                if (spec->addresses[i].stream && !spec->addresses[0].stream)
                        spec->addresses[spec->n_addresses++] = spec->addresses[i];
}

static bool begin_transfer(struct job *j, const struct obt_want *w) {
        struct client *c = j->jobs->daemon->client;
        struct out_spec spec = { .kind = OUT_TRANSFER, .id = w->device };
        const char *why = "it has told no secure address";
        int r;

        j->transfer = out_channel_release(j->transfer);
        spec.device = tool_device(j->jobs->daemon->tool)->index;
        spec.n_addresses = client_secure_addresses(c, &w->device, spec.addresses);
        if (spec.n_addresses) {
                why = w->transfer == SVR_MANUFACTURER ? "no root certificate of a manufacturer is known: "
                                                        "ocfctl cert manufacturer adds one"
                                                      : "there is no memory for it";
                keep_addresses(&spec, w->transfer);
                r = session_for(j, w, &spec);
                if (!r)
                        r = out_channel_obtain(client_outgoing(c), &spec, &j->transfer);
                if (!r)
                        r = out_channel_connect(j->transfer, CONNECT_MS, on_connected, j, &j->request);
                if (!r)
                        return true;
        }
        obt_flow_connected(j->flow, NULL, why);
        return false;
}

static void on_stored(void *context, int outcome) {
        struct job *j = context;

        j->is_storing = false;
        if (j->flow)
                obt_flow_stored(j->flow, !outcome);
        if (!j->is_driving)
                drive(j);
}

static bool ask_pin(struct job *j, const struct obt_want *w) {
        struct daemon *d = j->jobs->daemon;
        const struct remote_device *device = remotes_find(client_remotes(d->client), &w->device);

        if (j->pin) {
                obt_flow_pin(j->flow, span_of_string(j->pin));
                return false;
        }
        j->state = JOB_PIN;
        tell(j);
        if (bus_ask_pin(d->bus, j->number, &w->device, device && device->name ? device->name : "", PIN_S))
                return true;
        j->state = JOB_RUNNING;
        obt_flow_pin(j->flow, SPAN_NULL);
        return false;
}

static void follow_name(struct job *j, const struct obt_want *w) {
        struct remotes *t = client_remotes(j->jobs->daemon->client);
        struct remote_device *d;

        if (!w->renamed)
                return;
        d = remotes_find(t, &w->was);
        if (d)
                (void)remote_rename(d, &w->device);
        j->now = w->device;
}

static void note_progress(struct job *j) {
        struct obt_progress p;

        obt_flow_progress(j->flow, &p);
        if (j->i_step == p.step && j->n_steps == p.n_steps && j->undoing == p.undoing)
                return;
        j->i_step = p.step;
        j->n_steps = p.n_steps;
        j->undoing = p.undoing;
        snprintf(j->step, sizeof(j->step), "%s", p.name);
        tell(j);
}

/* One thing that the flow wants. Return: false: now it waits. */
static bool do_next(struct job *j) {
        struct keyring *k = tool_keyring(j->jobs->daemon->tool);
        struct obt_want w;
        int r;

        obt_flow_want(j->flow, &w);
        follow_name(j, &w);
        note_progress(j);
        switch (w.type) {
        case OBT_WANT_NOTHING:
                return false;
        case OBT_WANT_REQUEST:
                return !send_request(j, &w);
        case OBT_WANT_CONNECT:
                return !begin_transfer(j, &w);
        case OBT_WANT_DISCONNECT:
                if (j->transfer)
                        out_channel_close(j->transfer);
                j->transfer = out_channel_release(j->transfer);
                return true;
        case OBT_WANT_PIN:
                return !ask_pin(j, &w);
        case OBT_WANT_STORE:
        case OBT_WANT_FORGET:
                j->is_storing = true;
                client_close_owner_channel(j->jobs->daemon->client, &w.device);
                r = w.type == OBT_WANT_STORE ? keyring_put(k, &w.device, w.key.data, on_stored, j)
                                             : keyring_remove(k, &w.device, on_stored, j);
                if (r) {
                        j->is_storing = false;
                        obt_flow_stored(j->flow, false);
                }
                return !j->is_storing;
        case OBT_WANT_PAUSE:
                j->pause_until = clock_now_ms() + w.pause_ms;
                return false;
        case OBT_WANT_END:
                end(j, w.succeeded, w.text);
                return false;
        }
        return false;
}

static void drive(struct job *j) {
        if (is_over(j) || j->is_driving)
                return;
        j->is_driving = true;
        if (j->state == JOB_PIN)
                j->state = JOB_RUNNING;
        while (do_next(j))
                ;
        j->is_driving = false;
}

/* ---- their turn ---- */

static bool concerns(const struct job *a, const struct job *b) {
        for (size_t i = 0; i < a->n_devices; i++)
                for (size_t k = 0; k < b->n_devices; k++)
                        if (uuid_equal(&a->devices[i], &b->devices[k]) || uuid_equal(&a->now, &b->devices[k]))
                                return true;
        return false;
}

/* Somebody who looks for a PIN keeps nobody else waiting. */
static bool is_full(const struct jobs *jobs) {
        size_t n = 0;

        LIST_FOR_EACH(i, &jobs->list)
        n += LIST_ENTRY(i, struct job, link)->state == JOB_RUNNING;
        return n >= RUNNING_MAX;
}

static bool has_turn(const struct job *j) {
        if (!tool_exists(j->jobs->daemon->tool))
                return false;
        LIST_FOR_EACH(i, &j->jobs->list) {
                const struct job *other = LIST_ENTRY(i, struct job, link);

                if (other == j)
                        return true;
                if (!is_over(other) && concerns(other, j))
                        return false;
        }
        return true;
}

/* What cannot be known before its turn has come. */
static void begin(struct job *j) {
        struct daemon *d = j->jobs->daemon;
        const struct svr *svr = secure_svr(d->secure, tool_device(d->tool)->index);
        int r;

        j->config.tool = tool_device(d->tool)->di;
        j->config.authority = tool_authority(d->tool);
        j->config.wall_s = daemon_wall(d);
        if (svr && j->config.operation == OBT_OWN) {
                j->config.domain = svr->sdi.uuid;
                j->config.domain_name = span_of(svr->sdi.name, svr->sdi.n_name);
                j->config.domain_private = svr->sdi.priv;
        }
        r = obt_flow_new(&j->flow, &j->config);
        if (r) {
                end(j, false,
                    r == -EINVAL ? "There are too many roles, or hrefs" : "There is no memory for it");
                return;
        }
        j->state = JOB_RUNNING;
        tell(j);
        drive(j);
}

void jobs_wake(struct jobs *jobs) {
        uint64_t now_ms = clock_now_ms();

        LIST_FOR_EACH_SAFE(i, &jobs->list) {
                struct job *j = LIST_ENTRY(i, struct job, link);

                if (is_over(j)) {
                        if (now_ms - j->over_ms >= KEPT_MS)
                                job_free(j);
                } else if (j->state == JOB_WAITING) {
                        if (!is_full(jobs) && has_turn(j))
                                begin(j);
                } else if (j->pause_until && now_ms >= j->pause_until) {
                        j->pause_until = 0;
                        obt_flow_paused(j->flow);
                        drive(j);
                }
        }
}

uint64_t jobs_deadline(const struct jobs *jobs) {
        uint64_t due = OCF_NEVER;
        bool none_may_begin = is_full(jobs);

        LIST_FOR_EACH(i, &jobs->list) {
                const struct job *j = LIST_ENTRY(i, struct job, link);

                if (is_over(j))
                        due = ocf_min_u64(due, j->over_ms + KEPT_MS);
                else if (j->state == JOB_WAITING && !none_may_begin && has_turn(j))
                        due = 0;
                else if (j->pause_until)
                        due = ocf_min_u64(due, j->pause_until);
        }
        return due;
}

/* ---- what is asked ---- */

bool jobs_find(struct jobs *jobs, uint32_t number, struct bus_job *ret) {
        static const char *const states[] = { [JOB_WAITING] = "waiting",
                                              [JOB_RUNNING] = "running",
                                              [JOB_PIN] = "pin",
                                              [JOB_DONE] = "done",
                                              [JOB_FAILED] = "failed" };

        LIST_FOR_EACH(i, &jobs->list) {
                const struct job *j = LIST_ENTRY(i, struct job, link);

                if (j->number != number)
                        continue;
                *ret = (struct bus_job){
                        .number = number,
                        .operation = j->operation,
                        .state = j->state == JOB_FAILED && j->was_cancelled ? "cancelled"
                                 : j->state == JOB_RUNNING && j->undoing    ? "undoing"
                                                                            : states[j->state],
                        .step = j->step,
                        .message = j->message,
                        .device = j->devices[0],
                        .step_number = j->i_step,
                        .n_steps = j->n_steps,
                        .is_over = is_over(j),
                        .succeeded = j->state == JOB_DONE,
                        .result = j->now,
                };
                return true;
        }
        return false;
}

size_t jobs_list(struct jobs *jobs, const uint32_t **ret) {
        size_t n = 0;

        if (jobs->n > jobs->n_numbers) {
                if (!ocf_grow((void **)&jobs->numbers, jobs->n_numbers, jobs->n, sizeof(*jobs->numbers)))
                        return 0;
                jobs->n_numbers = jobs->n;
        }
        LIST_FOR_EACH(i, &jobs->list)
        jobs->numbers[n++] = LIST_ENTRY(i, struct job, link)->number;
        *ret = jobs->numbers;
        return n;
}

static struct job *find(struct jobs *jobs, uint32_t number) {
        LIST_FOR_EACH(i, &jobs->list) {
                struct job *j = LIST_ENTRY(i, struct job, link);

                if (j->number == number)
                        return j;
        }
        return NULL;
}

void jobs_cancel(struct jobs *jobs, uint32_t number) {
        struct job *j = find(jobs, number);

        if (!j || is_over(j) || j->was_cancelled || (j->is_storing && !j->flow))
                return;
        j->was_cancelled = true;
        if (!j->flow) {
                end(j, false, "It was cancelled before it began");
                return;
        }
        obt_flow_cancel(j->flow);
        if (j->is_storing)
                return; /* it goes on from there */
        j->request = out_cancel(j->request);
        j->asked = out_channel_release(j->asked);
        j->pause_until = 0;
        obt_flow_paused(j->flow);
        drive(j);
}

void jobs_pin(struct jobs *jobs, uint32_t number, const char *pin) {
        struct job *j = find(jobs, number);

        if (!j || j->state != JOB_PIN)
                return;
        obt_flow_pin(j->flow, pin ? span_of_string(pin) : SPAN_NULL);
        drive(j);
}

/* ---- how they begin ---- */

/* The one that has been over for longest is not shown any more. */
static void make_room(struct jobs *jobs) {
        struct job *oldest = NULL;

        LIST_FOR_EACH(i, &jobs->list) {
                struct job *j = LIST_ENTRY(i, struct job, link);

                if (is_over(j) && (!oldest || j->over_ms < oldest->over_ms))
                        oldest = j;
        }
        if (oldest)
                job_free(oldest);
}

static struct job *job_new(struct jobs *jobs, const struct bus_tool_request *q) {
        struct job *j;

        if (jobs->n >= JOBS_MAX)
                make_room(jobs);
        j = jobs->n < JOBS_MAX ? ocf_new(struct job) : NULL;
        if (!j)
                return NULL;
        j->jobs = jobs;
        j->operation = operations[q->operation];
        j->number = ++jobs->last_number;
        list_link_tail(&jobs->list, &j->link);
        jobs->n++;
        return j;
}

static void tool_made(void *context, int outcome) {
        struct job *j = context;

        j->jobs->daemon->status_is_stale = true;
        j->is_storing = false;
        end(j, !outcome,
            outcome ? "The onboarding tool could not be stored: see the journal of ocfd"
                    : "There is an onboarding tool");
}

/* A job as well, though no device is in it: it is over when the tool is durable. */
static int initialize(struct jobs *jobs, const struct bus_tool_request *q, uint32_t *ret_job,
                      enum fault *ret_fault, const char **ret_why) {
        struct daemon *d = jobs->daemon;
        struct job *j = job_new(jobs, q);
        int r;

        if (!j)
                return BUS_E_BUSY;
        j->state = JOB_RUNNING;
        j->is_storing = true;
        j->config.operation = OBT_SET_STATE;
        r = tool_make(d->tool, span_of_string(q->text ? q->text : ""), tool_made, j, ret_why);
        if (!r) {
                *ret_job = j->number;
                return 0;
        }
        job_free(j);
        *ret_fault = r == -EALREADY ? FAULT_ALREADY_EXISTS : FAULT_FAILED;
        if (r == -EALREADY)
                *ret_why = "There is an onboarding tool already";
        else if (!*ret_why)
                *ret_why = strerror(-r);
        return BUS_E_REFUSED;
}

static int add_manufacturer_anchor(struct jobs *jobs, const struct bus_tool_request *q, enum fault *ret_fault,
                                   const char **ret_why) {
        struct span pem = span_of_string(q->text ? q->text : "");
        const char *problem = certificate_check_anchor(pem, daemon_wall(jobs->daemon));
        int r;

        *ret_fault = FAULT_INVALID_ARGUMENTS;
        *ret_why = problem;
        if (problem)
                return BUS_E_REFUSED;
        r = keyring_add_anchor(tool_keyring(jobs->daemon->tool), pem, NULL, NULL);
        if (!r)
                return 0;
        *ret_fault = FAULT_FAILED;
        *ret_why = r == -ENOSPC ? "There are too many of these certificates already" : strerror(-r);
        return BUS_E_REFUSED;
}

static const struct {
        const char *name;
        enum svr_transfer transfer;
} method_names[] = {
        { "manufacturer-certificate", SVR_MANUFACTURER },
        { "random-pin", SVR_RANDOM_PIN },
        { "just-works", SVR_JUST_WORKS },
};

/* The most secure one that can work here first, unless the administrator says otherwise. */
static const char *read_methods(struct job *j, const struct bus_tool_request *q) {
        struct daemon *d = j->jobs->daemon;
        struct obt_config *c = &j->config;

        for (size_t i = 0; q->texts && q->texts[i]; i++) {
                size_t k = 0;

                while (k < ARRAY_SIZE(method_names) && strcmp(method_names[k].name, q->texts[i]) != 0)
                        k++;
                if (k == ARRAY_SIZE(method_names) || c->n_methods == OBT_METHODS_MAX)
                        return "The methods are just-works, random-pin and manufacturer-certificate";
                c->methods[c->n_methods++] = method_names[k].transfer;
        }
        if (c->n_methods)
                return NULL;
        if (keyring_anchors(tool_keyring(d->tool)).n)
                c->methods[c->n_methods++] = SVR_MANUFACTURER;
        if (q->text || bus_has_agent(d->bus))
                c->methods[c->n_methods++] = SVR_RANDOM_PIN;
        c->methods[c->n_methods++] = SVR_JUST_WORKS;
        return NULL;
}

static const char *read_state(struct job *j, const char *text) {
        static const struct {
                const char *name;
                enum svr_state state;
        } states[] = { { "RFPRO", SVR_RFPRO }, { "RFNOP", SVR_RFNOP }, { "SRESET", SVR_SRESET } };

        for (size_t i = 0; text && i < ARRAY_SIZE(states); i++)
                if (strcmp(text, states[i].name) == 0) {
                        j->config.state = states[i].state;
                        return NULL;
                }
        return "The states are RFPRO, RFNOP and SRESET";
}

static const char *read_permission(struct job *j, const char *text) {
        static const char letters[] = "crudn";

        for (; text && *text; text++) {
                const char *at = strchr(letters, *text);

                if (!at)
                        return "A permission is letters of crudn: create, retrieve, update, delete, notify";
                j->config.permission |= (uint8_t)(1u << (at - letters));
        }
        return j->config.permission ? NULL : "A permission is letters of crudn";
}

static char *keep(char **at, const char *text) {
        char *kept = *at;
        size_t n = text ? strlen(text) : 0;

        if (n)
                memcpy(kept, text, n);
        kept[n] = 0;
        *at += n + 1;
        return kept;
}

/* "NAME" or "NAME@AUTHORITY". */
static void read_role(struct authority_role *role, const char *text) {
        const char *at = strchr(text, '@');

        role->role = at ? span_of(text, (size_t)(at - text)) : span_of_string(text);
        role->authority = at ? span_of_string(at + 1) : SPAN_NULL;
}

static const char *cloud_href(struct daemon *d, const struct uuid *id) {
        const struct remote_device *device = remotes_find(client_remotes(d->client), id);

        if (device)
                LIST_FOR_EACH(i, &device->resources) {
                        const struct remote_resource *r = LIST_ENTRY(i, struct remote_resource, link);

                        for (char **t = r->types; *t; t++)
                                if (strcmp(*t, "oic.r.coapcloudconf") == 0)
                                        return r->href;
                }
        return "";
}

/* The arguments are copied: they are looked at when the job's turn has come. */
static const char *read_arguments(struct job *j, const struct bus_tool_request *q) {
        const char *const plain[] = { q->text,
                                      q->subject,
                                      q->cis,
                                      q->sid,
                                      q->apn,
                                      q->at,
                                      q->operation == BUS_TOOL_CONFIGURE_CLOUD
                                              ? cloud_href(j->jobs->daemon, &q->device)
                                              : NULL };
        struct obt_config *c = &j->config;
        struct span kept[ARRAY_SIZE(plain)];
        size_t n = 1, n_texts = 0;
        char *at;

        for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
                n += (plain[i] ? strlen(plain[i]) : 0) + 1;
        for (; q->texts && q->texts[n_texts]; n_texts++)
                n += strlen(q->texts[n_texts]) + 1;
        at = ocf_allocate(n, 1);
        j->texts = (uint8_t *)at;
        if (!at)
                return "There is no memory for it";
        for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
                kept[i] = span_of_string(keep(&at, plain[i]));
        c->subject = kept[1];
        c->cis = kept[2];
        c->sid = kept[3];
        c->apn = kept[4];
        c->at = kept[5];
        c->cloud_href = kept[6];
        c->number = q->number;
        if (n_texts > AUTHORITY_ROLES_MAX && q->operation == BUS_TOOL_ISSUE_ROLE)
                return "There are too many roles";
        if (n_texts > ACE_RESOURCES_MAX)
                return "There are too many hrefs";
        for (size_t i = 0; i < n_texts; i++) {
                char *text = keep(&at, q->texts[i]);

                if (q->operation == BUS_TOOL_ISSUE_ROLE)
                        read_role(&j->roles[i], text);
                else
                        j->hrefs[i] = span_of_string(text);
        }
        c->roles = j->roles;
        c->hrefs = j->hrefs;
        switch (q->operation) {
        case BUS_TOOL_OWN:
                c->operation = OBT_OWN;
                c->with_certificate = q->flag;
                j->pin = q->text ? ocf_duplicate_string(q->text) : NULL;
                return read_methods(j, q);
        case BUS_TOOL_RESET:
                c->operation = OBT_RESET;
                c->forget = q->flag;
                return NULL;
        case BUS_TOOL_SET_STATE:
                c->operation = OBT_SET_STATE;
                return read_state(j, q->text);
        case BUS_TOOL_PAIR:
                c->operation = OBT_PAIR;
                c->targets[1] = q->other;
                return NULL;
        case BUS_TOOL_ISSUE_IDENTITY:
                c->operation = OBT_ISSUE_IDENTITY;
                return NULL;
        case BUS_TOOL_ISSUE_ROLE:
                c->operation = OBT_ISSUE_ROLES;
                c->n_roles = n_texts;
                return n_texts ? NULL : "Which roles?";
        case BUS_TOOL_ADD_TRUST_ANCHOR:
                c->operation = OBT_ADD_ANCHOR;
                c->pem = kept[0];
                c->manufacturer = q->usage && strcmp(q->usage, "manufacturer") == 0;
                return c->manufacturer || !q->usage || !*q->usage || strcmp(q->usage, "identity") == 0
                               ? NULL
                               : "The usage of an anchor is identity or manufacturer";
        case BUS_TOOL_ADD_ACCESS:
                c->operation = OBT_ADD_ACCESS;
                c->n_hrefs = n_texts;
                return read_permission(j, q->text);
        case BUS_TOOL_REMOVE_ACCESS:
                c->operation = OBT_REMOVE_ACCESS;
                return NULL;
        case BUS_TOOL_REMOVE_CREDENTIAL:
                c->operation = OBT_REMOVE_CREDENTIAL;
                return NULL;
        case BUS_TOOL_CONFIGURE_CLOUD:
                c->operation = OBT_CONFIGURE_CLOUD;
                c->permission = ACE_ALL;
                c->hrefs = &c->cloud_href;
                c->n_hrefs = 1;
                return NULL;
        case BUS_TOOL_SET_DOMAIN:
                c->operation = OBT_SET_DOMAIN;
                c->domain_name = kept[0];
                c->domain_private = q->flag;
                return NULL;
        case BUS_TOOL_INITIALIZE:
        case BUS_TOOL_ADD_MANUFACTURER_ANCHOR:
        case _BUS_TOOL_N:
                break;
        }
        return "This is no job";
}

static void random_bytes(void *context, uint8_t *ret, size_t n) {
        crypto_random(ret, n);
}

static enum fault check_devices(struct daemon *d, const struct bus_tool_request *q) {
        const struct keyring *k = tool_keyring(d->tool);

        if (q->operation == BUS_TOOL_OWN) {
                const struct remote_device *device = remotes_find(client_remotes(d->client), &q->device);

                if (!device)
                        return FAULT_NOT_FOUND;
                /* one that was reset at its case has no owner, whatever is kept here */
                return keyring_has(k, &q->device) && device->ownership == REMOTE_MINE ? FAULT_ALREADY_EXISTS
                                                                                      : FAULT_NONE;
        }
        if (!keyring_has(k, &q->device))
                return FAULT_NOT_OWNED;
        return q->operation == BUS_TOOL_PAIR && !keyring_has(k, &q->other) ? FAULT_NOT_OWNED : FAULT_NONE;
}

int jobs_start(struct jobs *jobs, const struct bus_tool_request *q, uint32_t *ret_job, enum fault *ret_fault,
               const char **ret_why) {
        struct daemon *d = jobs->daemon;
        struct job *j;

        *ret_job = 0;
        *ret_why = NULL;
        if (q->operation == BUS_TOOL_INITIALIZE)
                return initialize(jobs, q, ret_job, ret_fault, ret_why);
        *ret_fault = FAULT_NOT_INITIALIZED;
        if (!keyring_exists(tool_keyring(d->tool)))
                return BUS_E_REFUSED;
        if (tool_problem(d->tool)) {
                *ret_why = tool_problem(d->tool);
                return BUS_E_REFUSED;
        }
        if (q->operation == BUS_TOOL_ADD_MANUFACTURER_ANCHOR)
                return add_manufacturer_anchor(jobs, q, ret_fault, ret_why);
        *ret_fault = check_devices(d, q);
        if (*ret_fault == FAULT_ALREADY_EXISTS)
                *ret_why = "This onboarding tool owns the device already";
        if (*ret_fault)
                return BUS_E_REFUSED;
        j = job_new(jobs, q);
        if (!j)
                return BUS_E_BUSY;
        j->devices[0] = j->now = j->config.targets[0] = q->device;
        j->devices[1] = q->other;
        j->n_devices = q->operation == BUS_TOOL_PAIR ? 2 : 1;
        j->config.random = random_bytes;
        *ret_why = read_arguments(j, q);
        if (*ret_why) {
                *ret_fault = FAULT_INVALID_ARGUMENTS;
                job_free(j);
                return BUS_E_REFUSED;
        }
        *ret_job = j->number;
        return 0;
}

int jobs_new(struct jobs **ret, struct daemon *d) {
        struct jobs *jobs = ocf_new(struct jobs);

        if (!jobs)
                return -ENOMEM;
        jobs->daemon = d;
        list_init(&jobs->list);
        *ret = jobs;
        return 0;
}

struct jobs *jobs_free(struct jobs *jobs) {
        if (!jobs)
                return NULL;
        LIST_FOR_EACH_SAFE(i, &jobs->list)
        job_free(LIST_ENTRY(i, struct job, link));
        ocf_free(jobs->numbers);
        return ocf_free(jobs);
}

#include "base/memory.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * org.ocfd.Job1: what the onboarding tool does with a device. The daemon has the
 * jobs; what is kept here is what was told of each, and whose it is.
 */

#define INTERFACE BUS_NAME ".Job1"

struct told_job {
        struct list link;
        uint32_t number, uid;
        bool has_owner, is_told, is_over;
        sd_bus_message *asked; /* a call that is answered when it is over; NULL: none */
        struct bus_told told;
};

enum { TOLD_STATE, TOLD_STEP, TOLD_STEP_NUMBER, TOLD_STEPS, TOLD_MESSAGE };
static const char *const told_names[] = { "State", "Step", "StepNumber", "Steps", "Message", NULL };

static bool job_get(const struct bus *b, uint64_t number, struct bus_job *ret) {
        return number && number <= UINT32_MAX &&
               b->control->client.job(b->control->context, (uint32_t)number, ret);
}

static bool job_at(const struct bus *b, const char *path, struct bus_job *ret) {
        uint64_t number;

        return bus_path_number(path, BUS_JOBS, &number) && job_get(b, number, ret);
}

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                sd_bus_error *error) {
        struct bus_job job;

        if (!job_at(userdata, path, &job))
                return 0;
        *ret_found = userdata;
        return 1;
}

/* ---- what was told, and whose they are ---- */

static struct told_job *told_find(const struct bus *b, uint32_t number) {
        LIST_FOR_EACH(i, &b->jobs) {
                struct told_job *j = LIST_ENTRY(i, struct told_job, link);

                if (j->number == number)
                        return j;
        }
        return NULL;
}

static struct told_job *told_obtain(struct bus *b, uint32_t number) {
        struct told_job *j = told_find(b, number);

        if (j)
                return j;
        j = ocf_new(struct told_job);
        if (!j)
                return NULL;
        j->number = number;
        list_link_tail(&b->jobs, &j->link);
        return j;
}

static void told_free(struct told_job *j) {
        if (j->asked)
                (void)bus_reply_fault(j->asked, FAULT_FAILED, "Nothing more is known of it");
        sd_bus_message_unref(j->asked);
        list_unlink(&j->link);
        ocf_free(j);
}

void bus_jobs_drop(struct bus *b) {
        while (!list_is_empty(&b->jobs))
                told_free(LIST_ENTRY(list_first(&b->jobs), struct told_job, link));
}

bool bus_job_may_start(const struct bus *b, const struct bus_client *client) {
        size_t n = 0;

        LIST_FOR_EACH(i, &b->jobs) {
                const struct told_job *j = LIST_ENTRY(i, struct told_job, link);

                n += j->has_owner && !j->is_over && j->uid == client->caller.uid;
        }
        return n < UID_JOBS_MAX;
}

int bus_job_started(struct bus *b, const struct bus_client *client, uint32_t number, sd_bus_message *asked) {
        struct told_job *j = told_obtain(b, number);

        if (!j)
                return -ENOMEM;
        j->uid = client->caller.uid;
        j->has_owner = true;
        j->asked = sd_bus_message_ref(asked);
        return 0;
}

/* ---- telling ---- */

static void tell_finished(struct bus *b, const char *path, const struct bus_job *job) {
        sd_bus_message *m = NULL;
        char device[BUS_PATH_MAX], sentence[BUS_SENTENCE_MAX];
        int r = sd_bus_message_new_signal(b->bus, &m, path, INTERFACE, "Finished");

        if (r >= 0)
                r = sd_bus_message_append(m, "bs", (int)job->succeeded, bus_sentence(sentence, job->message));
        if (r >= 0)
                r = uuid_is_nil(&job->result)
                            ? sd_bus_message_append(m, "a{sv}", 0)
                            : sd_bus_message_append(m, "a{sv}", 1, "device", "o",
                                                    bus_any_device_path(b, device, &job->result));
        if (r >= 0)
                (void)sd_bus_send(b->bus, m, NULL);
        sd_bus_message_unref(m);
}

static void answer(struct told_job *j, const struct bus_job *job) {
        (void)(job->succeeded ? sd_bus_reply_method_return(j->asked, NULL)
                              : bus_reply_fault(j->asked, FAULT_FAILED, job->message));
        j->asked = sd_bus_message_unref(j->asked);
}

static void tell(struct bus *b, struct told_job *j, const struct bus_job *job) {
        struct bus_told now = { 0 };
        char path[BUS_PATH_MAX];

        bus_path(path, BUS_JOBS, j->number);
        bus_told_text(&now, TOLD_STATE, job->state);
        bus_told_text(&now, TOLD_STEP, job->step);
        bus_told_number(&now, TOLD_STEP_NUMBER, job->step_number);
        bus_told_number(&now, TOLD_STEPS, job->n_steps);
        bus_told_text(&now, TOLD_MESSAGE, job->message);
        if (!j->is_told) {
                j->is_told = true;
                j->told = now;
                (void)sd_bus_emit_object_added(b->bus, path);
        }
        bus_tell_different(b, path, INTERFACE, told_names, &j->told, &now);
        if (job->is_over && !j->is_over) {
                j->is_over = true;
                tell_finished(b, path, job);
                if (j->asked)
                        answer(j, job);
        }
}

void bus_tell_job(struct bus *b, uint32_t number) {
        struct bus_job job;
        struct told_job *j;
        char path[BUS_PATH_MAX];
        bool is_there = job_get(b, number, &job);

        if (!is_there || strcmp(job.state, "pin") != 0)
                bus_pins_end(b, number);
        if (b->is_starting_job || !bus_is_ready(b))
                return; /* bus_tool.c comes back to it */
        j = is_there ? told_obtain(b, number) : told_find(b, number);
        if (is_there && j) {
                tell(b, j, &job);
        } else if (j) {
                (void)sd_bus_emit_interfaces_removed(b->bus, bus_path(path, BUS_JOBS, number), INTERFACE,
                                                     NULL);
                told_free(j);
        }
}

/* ---- Cancel ---- */

static int cancel(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_job job;

        if (!job_at(b, sd_bus_message_get_path(m), &job))
                return bus_reply_fault(m, FAULT_NOT_FOUND, "The job is over, and forgotten");
        if (!job.is_over)
                b->control->client.job_cancel(b->control->context, job.number);
        return sd_bus_reply_method_return(m, NULL);
}

static int cancel_if_allowed(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const struct told_job *j;
        uint64_t number;

        if (!bus_path_number(sd_bus_message_get_path(m), BUS_JOBS, &number) || number > UINT32_MAX)
                return bus_reply_fault(m, FAULT_NOT_FOUND, NULL);
        j = told_find(b, (uint32_t)number);
        if (j && j->has_owner && j->uid == client->caller.uid)
                return cancel(b, client, m);
        return bus_if_authorized(b, client, m, BUS_NAME ".onboard", cancel);
}

static int on_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_client_method(userdata, m, cancel_if_allowed);
}

/* ---- properties ---- */

static int text(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        char sentence[BUS_SENTENCE_MAX];
        struct bus_job job;

        if (!job_at(userdata, path, &job))
                return -ENOENT;
        if (strcmp(property, "Operation") == 0)
                return sd_bus_message_append_basic(reply, 's', job.operation);
        if (strcmp(property, "State") == 0)
                return sd_bus_message_append_basic(reply, 's', job.state);
        return sd_bus_message_append_basic(
                reply, 's', bus_sentence(sentence, strcmp(property, "Step") == 0 ? job.step : job.message));
}

static int number(sd_bus *bus, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct bus_job job;

        if (!job_at(userdata, path, &job))
                return -ENOENT;
        return sd_bus_message_append_basic(reply, 'u',
                                           strcmp(property, "Steps") == 0 ? &job.n_steps : &job.step_number);
}

static int device(sd_bus *bus, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct bus_job job;
        char of[BUS_PATH_MAX];

        if (!job_at(userdata, path, &job))
                return -ENOENT;
        return sd_bus_message_append_basic(reply, 'o', bus_any_device_path(userdata, of, &job.device));
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_cancel,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("Finished", SD_BUS_ARGS("b", succeeded, "s", message, "a{sv}", result), 0),
        SD_BUS_PROPERTY("Operation", "s", text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Device", "o", device, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Step", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("StepNumber", "u", number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Steps", "u", number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Message", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                     sd_bus_error *error) {
        struct bus *b = userdata;
        const uint32_t *jobs;
        size_t n = b->control->client.jobs(b->control->context, &jobs);
        char path[BUS_PATH_MAX], **nodes = calloc(n + 1, sizeof(*nodes));

        if (!nodes)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                nodes[i] = strdup(bus_path(path, BUS_JOBS, jobs[i]));
                if (!nodes[i])
                        return bus_nodes_free(nodes);
        }
        *ret_nodes = nodes;
        return 0;
}

int bus_job_add(struct bus *b) {
        int r = sd_bus_add_fallback_vtable(b->bus, NULL, BUS_JOBS, INTERFACE, vtable, find, b);

        return r < 0 ? r : sd_bus_add_node_enumerator(b->bus, NULL, BUS_JOBS, enumerate, b);
}

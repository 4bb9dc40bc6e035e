#include "base/memory.h"
#include "dbus/bus_private.h"
#include "protocol/rep.h"

#include <errno.h>
#include <string.h>

/*
 * A registration as it stands in a message. Everything is read and checked for
 * its form before the model sees any of it; strings point into the message.
 *
 * The readers return 0, REGISTER_E_REPLIED when something was wrong and the
 * caller has been told, or a negative errno.
 */
enum { REGISTER_E_REPLIED = 1, REGISTER_E_TOO_MANY /* of read_texts() alone */ };

#define RESOURCES_MAX 8192            /* in one call; quotas say less */
#define TEXTS_MAX     MODEL_TYPES_MAX /* more types or interfaces nobody may have */

struct entry {
        struct resource_spec spec;
        const char **types, **interfaces;
        uint8_t *value;
};

struct registration {
        sd_bus_message *message;
        struct bus_client *client;
        struct entry *entries;
        size_t n_entries, n_room;
        struct app_spec app;
        const char *device;
};

static void registration_deinit(struct registration *g) {
        for (size_t i = 0; i < g->n_entries; i++) {
                ocf_free(g->entries[i].types);
                ocf_free(g->entries[i].interfaces);
                ocf_free(g->entries[i].value);
        }
        ocf_free(g->entries);
        bus_handlers_unused(g->client); /* several entries may share one */
}

static int told(int r) {
        return r < 0 ? r : REGISTER_E_REPLIED;
}

static int plain(int r) {
        return r < 0 ? r : 0;
}

static int read_texts(sd_bus_message *m, const char ***ret, size_t *ret_n) {
        OCF_CLEANUP(ocf_freep) const char **texts = ocf_allocate(TEXTS_MAX, sizeof(*texts));
        const char *text;
        size_t n = 0;
        int r = texts ? sd_bus_message_enter_container(m, 'v', "as") : -ENOMEM;

        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &text)) > 0) {
                if (n == TEXTS_MAX)
                        return REGISTER_E_TOO_MANY;
                texts[n++] = text;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        ocf_free(*ret); /* the key was there before: the last one counts */
        *ret = texts;
        *ret_n = n;
        texts = NULL;
        return 0;
}

static int read_value(struct registration *g, struct entry *e) {
        struct writer w = writer_on(g->client->bus->scratch, BUS_VALUE_MAX);
        int r = sd_bus_message_enter_container(g->message, 'v', "a{sv}");

        if (r < 0)
                return r;
        r = value_read_map(g->message, &w);
        if (r > 0)
                return told(bus_reply_invalid(g->message, "The value of %.150s %s", e->spec.href,
                                              value_problem(r)));
        if (r < 0)
                return r;
        ocf_free(e->value);
        e->value = ocf_duplicate(writer_span(&w));
        if (!e->value)
                return -ENOMEM;
        e->spec.value = span_of(e->value, w.n);
        return plain(sd_bus_message_exit_container(g->message));
}

static int read_handler(struct registration *g, struct entry *e) {
        const char *path;
        int r = sd_bus_message_read(g->message, "v", "o", &path);

        return r < 0 ? r : bus_handler_obtain(g->client, path, &e->spec.handler);
}

static int read_flag(sd_bus_message *m, bool *ret) {
        int b, r = sd_bus_message_read(m, "v", "b", &b);

        if (r >= 0)
                *ret = b;
        return plain(r);
}

static int read_property(struct registration *g, struct entry *e, const char *key) {
        sd_bus_message *m = g->message;

        if (strcmp(key, "rt") == 0)
                return read_texts(m, &e->types, &e->spec.n_types);
        if (strcmp(key, "if") == 0)
                return read_texts(m, &e->interfaces, &e->spec.n_interfaces);
        if (strcmp(key, "n") == 0)
                return plain(sd_bus_message_read(m, "v", "s", &e->spec.name));
        if (strcmp(key, "value") == 0)
                return read_value(g, e);
        if (strcmp(key, "handler") == 0)
                return read_handler(g, e);
        if (strcmp(key, "discoverable") == 0)
                return read_flag(m, &e->spec.discoverable);
        if (strcmp(key, "observable") == 0)
                return read_flag(m, &e->spec.observable);
        if (strcmp(key, "insecure") == 0)
                return read_flag(m, &e->spec.insecure);
        return told(bus_reply_invalid(
                m,
                "The property \"%.64s\" of %.100s is unknown: there are rt, if, n, value, handler, "
                "discoverable, observable and insecure",
                key, e->spec.href));
}

/* sd-bus says this of a variant that holds another type than was asked for. */
static bool is_type_mismatch(int r) {
        return r == -ENXIO || r == -EBADMSG || r == -EINVAL;
}

static int read_properties(struct registration *g, struct entry *e) {
        sd_bus_message *m = g->message;
        const char *key;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &key);
                if (r < 0)
                        return r;
                r = read_property(g, e, key);
                if (r == REGISTER_E_TOO_MANY)
                        return told(bus_reply_invalid(m,
                                                      "The property \"%s\" of %.100s has more than %d texts",
                                                      key, e->spec.href, TEXTS_MAX));
                if (is_type_mismatch(r))
                        return told(bus_reply_invalid(
                                m,
                                "The property \"%s\" of %.100s has a wrong type: rt and if are as, n is s, "
                                "value is a{sv}, handler is o, the others are b",
                                key, e->spec.href));
                if (r)
                        return r;
                r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return plain(r);
}

static int read_resource(struct registration *g) {
        struct entry *e;
        int r;

        if (g->n_entries == RESOURCES_MAX)
                return told(bus_reply_fault(g->message, FAULT_LIMITS_EXCEEDED,
                                            "One call registers at most 8192 resources: make several"));
        if (g->n_entries == g->n_room) {
                size_t n = g->n_room ? 2 * g->n_room : 8;

                if (!ocf_grow((void **)&g->entries, g->n_room, n, sizeof(*g->entries)))
                        return -ENOMEM;
                g->n_room = n;
        }
        e = &g->entries[g->n_entries++];
        *e = (struct entry){ .spec = { .discoverable = true, .observable = true } };
        r = sd_bus_message_read_basic(g->message, 's', &e->spec.href);
        if (r < 0)
                return r;
        r = read_properties(g, e);
        if (r)
                return r;
        if (!e->spec.handler) /* published: somebody to be told of updates */
                r = bus_handler_obtain(g->client, NULL, &e->spec.handler);
        e->spec.types = e->types;
        e->spec.interfaces = e->interfaces;
        return r;
}

static int read_resources(struct registration *g) {
        int r = sd_bus_message_enter_container(g->message, 'a', "(sa{sv})");

        while (r >= 0 && (r = sd_bus_message_enter_container(g->message, 'r', "sa{sv}")) > 0) {
                r = read_resource(g);
                if (r)
                        return r;
                r = sd_bus_message_exit_container(g->message);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(g->message);
        return plain(r);
}

static int read_option(struct registration *g, const char *key) {
        sd_bus_message *m = g->message;

        if (strcmp(key, "name") == 0) {
                int r = sd_bus_message_read(m, "v", "s", &g->app.name);

                if (r >= 0 && (!g->app.name[0] || strlen(g->app.name) > MODEL_NAME_MAX))
                        return told(bus_reply_invalid(m, "The name of an application has 1 to 64 bytes"));
                return plain(r);
        }
        if (strcmp(key, "linger_ms") == 0)
                return plain(sd_bus_message_read(m, "v", "t", &g->app.linger_ms));
        return told(bus_reply_invalid(
                m, "The option \"%.64s\" is unknown: there are name (s) and linger_ms (t)", key));
}

static int read_options(struct registration *g) {
        sd_bus_message *m = g->message;
        const char *key;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &key);
                if (r < 0)
                        return r;
                r = read_option(g, key);
                if (is_type_mismatch(r))
                        return told(bus_reply_invalid(
                                m, "The option \"%s\" has a wrong type: name is s, linger_ms is t", key));
                if (r)
                        return r;
                r = sd_bus_message_exit_container(m);
        }
        return plain(r);
}

static int read_all(struct registration *g) {
        int r = sd_bus_message_read_basic(g->message, 'o', &g->device);

        if (r >= 0)
                r = read_resources(g);
        if (r == 0)
                r = read_options(g);
        return r;
}

static int register_app(struct bus *b, struct registration *g, uint16_t device) {
        const struct bus_control *control = b->control;
        struct resource_spec *specs = ocf_allocate(g->n_entries, sizeof(*specs));
        struct model_refusal refusal;
        char path[BUS_PATH_MAX];
        struct app *app;
        int r;

        if (!specs)
                return -ENOMEM;
        for (size_t i = 0; i < g->n_entries; i++)
                specs[i] = g->entries[i].spec;
        r = control->register_app(control->context, &g->client->caller, device, &g->app, specs, g->n_entries,
                                  &app, &refusal);
        ocf_free(specs);
        if (r == BUS_E_REFUSED)
                return bus_reply_refusal(g->message, &refusal);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(g->message, "o", bus_path(path, BUS_APPS, app->number));
}

int bus_register(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        OCF_CLEANUP(registration_deinit)
        struct registration g = {
                .message = m,
                .client = client,
                .app = { .owner = client->name, .uid = client->caller.uid, .pid = client->caller.pid },
        };
        uint64_t device = 0;
        int r = read_all(&g);

        if (r == REGISTER_E_REPLIED)
                return 0;
        if (r < 0)
                return r == -ENOMEM ? r
                                    : bus_reply_invalid(
                                              m, "The registration cannot be read: see org.ocfd.Manager1");
        if (strcmp(g.device, "/") != 0 &&
            (!bus_path_number(g.device, BUS_DEVICES, &device) || device >= b->control->model->n_devices))
                return bus_reply_fault(m, FAULT_NOT_FOUND,
                                       "There is no such device: \"/\" means the first one");
        return register_app(b, &g, (uint16_t)device);
}

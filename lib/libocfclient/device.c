#include "base/utf8.h"
#include "client_private.h"

#include <errno.h>
#include <string.h>

/*
 * Other devices on the network. A search is a call that answers with the
 * objects of devices: Discover with many, FindDevice with one. What each is, is
 * asked for one after the other, and told as a snapshot.
 */

#define GRACE_US 5000000u /* over the time that a discovery listens */

struct ocf_device {
        struct ocf_value *properties; /* a map, as RemoteDevice1 has them */
};

struct search {
        struct list link;
        struct ocf_client *client;
        char *name;          /* FindDevice; NULL: Discover */
        unsigned timeout_ms; /* of Discover */
        ocf_device_fn fn;
        void *userdata;
        sd_bus_slot *slot; /* NULL: not sent yet */
        char **paths;      /* of those that were found */
        size_t n_paths, n_told;
};

/* ---- devices ---- */

struct ocf_device *ocf_device_free(struct ocf_device *d) {
        if (d) {
                ocf_value_free(d->properties);
                ocf_free(d);
        }
        return NULL;
}

int ocf_device_copy(struct ocf_device **ret, const struct ocf_device *d) {
        struct ocf_device *copy;
        int r;

        if (!ret || !d)
                return -EINVAL;
        copy = ocf_new(struct ocf_device);
        if (!copy)
                return -ENOMEM;
        r = ocf_value_copy(&copy->properties, d->properties);
        if (r) {
                ocf_device_free(copy);
                return r;
        }
        *ret = copy;
        return 0;
}

static const char *text_of(const struct ocf_device *d, const char *property) {
        const char *text;

        return d && ocf_value_get_string(d->properties, property, &text) ? text : "";
}

const char *ocf_device_id(const struct ocf_device *d) {
        return text_of(d, "DeviceId");
}

const char *ocf_device_name(const struct ocf_device *d) {
        return text_of(d, "Name");
}

const char *ocf_device_owner(const struct ocf_device *d) {
        return text_of(d, "Owner");
}

enum ocf_ownership ocf_device_ownership(const struct ocf_device *d) {
        static const struct {
                const char *name;
                enum ocf_ownership ownership;
        } rows[] = {
                { "none", OCF_OWNED_BY_NOBODY },
                { "mine", OCF_OWNED_BY_US },
                { "other", OCF_OWNED_BY_ANOTHER },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (strcmp(text_of(d, "Ownership"), rows[i].name) == 0)
                        return rows[i].ownership;
        return OCF_OWNERSHIP_UNKNOWN;
}

bool ocf_device_is_reachable(const struct ocf_device *d) {
        bool is_reachable;

        return d && ocf_value_get_bool(d->properties, "Reachable", &is_reachable) && is_reachable;
}

const struct ocf_value *ocf_device_types(const struct ocf_device *d) {
        return d ? ocf_value_get(d->properties, "Types") : NULL;
}

const struct ocf_value *ocf_device_endpoints(const struct ocf_device *d) {
        return d ? ocf_value_get(d->properties, "Endpoints") : NULL;
}

bool ocf_device_has_type(const struct ocf_device *d, const char *type) {
        const struct ocf_value *types = ocf_device_types(d);
        const char *text;

        for (size_t i = 0; type && i < ocf_value_count(types); i++)
                if (ocf_value_get_string(ocf_value_at(types, i, NULL), NULL, &text) &&
                    strcmp(text, type) == 0)
                        return true;
        return false;
}

/* ---- searches: made and ended ---- */

static void search_free(struct search *s) {
        list_unlink(&s->link);
        sd_bus_slot_unref(s->slot);
        for (size_t i = 0; i < s->n_paths; i++)
                ocf_free(s->paths[i]);
        ocf_free(s->paths);
        ocf_free(s->name);
        ocf_free(s);
}

static void finish(struct search *s, int result, const char *text, const struct ocf_device *device) {
        ocf_device_fn fn = s->fn;
        void *userdata = s->userdata;

        search_free(s);
        fn(userdata, result, text, device);
}

static int search_new(struct ocf_client *c, const char *name, unsigned timeout_ms, ocf_device_fn fn,
                      void *userdata) {
        struct search *s;

        if (!c || !fn)
                return -EINVAL;
        if (c->is_dead)
                return -ECANCELED;
        s = ocf_new(struct search);
        if (!s)
                return -ENOMEM;
        list_init(&s->link);
        s->name = ocf_duplicate_string(name);
        if (name && !s->name) {
                search_free(s);
                return -ENOMEM;
        }
        s->client = c;
        s->timeout_ms = timeout_ms;
        s->fn = fn;
        s->userdata = userdata;
        list_link_tail(&c->searches, &s->link);
        client_wake(c);
        return 0;
}

/* ---- on the bus ---- */

static int ask_next(struct search *s);

static void unsent(struct search *s, int error) {
        finish(s, error == -ENOMEM ? error : OCF_E_UNAVAILABLE, "The search cannot be sent over the bus",
               NULL);
}

/* One that has gone meanwhile is none that was found. */
static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct search *s = userdata;
        struct ocf_device device = { NULL };
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *text = "What the device is cannot be read";
        int r;

        s->slot = sd_bus_slot_unref(s->slot);
        r = e ? message_result(s->client, e, &text) : message_read_map(m, "", &device.properties);
        if (s->name || r == -ENOMEM) {
                finish(s, r < 0 && r != -ENOMEM ? OCF_E_FAILED : r, r ? text : "", r ? NULL : &device);
        } else {
                if (!r)
                        s->fn(s->userdata, 0, "", &device);
                if (!s->client->is_dead) {
                        r = ask_next(s);
                        if (r < 0)
                                unsent(s, r);
                }
        }
        ocf_value_free(device.properties);
        return 0;
}

/* Return: 0; negative errno. s may be gone. */
static int ask_next(struct search *s) {
        struct ocf_client *c = s->client;
        int r;

        if (s->n_told == s->n_paths) {
                finish(s, 0, "", NULL);
                return 0;
        }
        r = sd_bus_call_method_async(c->bus, &s->slot, c->owner, s->paths[s->n_told++],
                                     "org.freedesktop.DBus.Properties", "GetAll", on_properties, s, "s",
                                     BUS_REMOTE);
        return r < 0 ? r : 0;
}

static int add_path(struct search *s, const char *path) {
        void *paths = s->paths;

        if (!ocf_grow(&paths, s->n_paths, s->n_paths + 1, sizeof(char *)))
                return -ENOMEM;
        s->paths = paths;
        s->paths[s->n_paths] = ocf_duplicate_string(path);
        if (!s->paths[s->n_paths])
                return -ENOMEM;
        s->n_paths++;
        return 0;
}

static int read_paths(struct search *s, sd_bus_message *m) {
        const char *path;
        int r;

        if (s->name) {
                r = sd_bus_message_read_basic(m, 'o', &path);
                return r < 0 ? r : add_path(s, path);
        }
        r = sd_bus_message_enter_container(m, 'a', "o");
        while (r >= 0 && (r = sd_bus_message_read_basic(m, 'o', &path)) > 0)
                r = add_path(s, path);
        return r;
}

static int on_found(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct search *s = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *text;
        int r;

        s->slot = sd_bus_slot_unref(s->slot);
        if (e) {
                r = message_result(s->client, e, &text);
                finish(s, r, text, NULL);
                return 0;
        }
        r = read_paths(s, m);
        if (!r)
                r = ask_next(s);
        if (r < 0)
                unsent(s, r);
        return 0;
}

static int send_search(struct search *s) {
        struct ocf_client *c = s->client;
        uint64_t patience_us = s->name ? 0 : s->timeout_ms * 1000ull + GRACE_US;
        sd_bus_message *m = NULL;
        int r = message_new(c, &m, BUS_ROOT, BUS_CLIENT, s->name ? "FindDevice" : "Discover");

        if (r >= 0)
                r = s->name ? sd_bus_message_append(m, "s", s->name)
                            : sd_bus_message_append(m, "a{sv}", 1, "timeout_ms", "u",
                                                    (uint32_t)s->timeout_ms);
        if (r >= 0)
                r = sd_bus_call_async(c->bus, &s->slot, m, on_found, s, patience_us);
        sd_bus_message_unref(m);
        return r < 0 ? r : 0;
}

static struct search *first_unsent(const struct ocf_client *c) {
        LIST_FOR_EACH(i, &c->searches) {
                struct search *s = LIST_ENTRY(i, struct search, link);

                if (!s->slot)
                        return s;
        }
        return NULL;
}

bool search_step(struct ocf_client *c) {
        struct search *s = first_unsent(c);
        char sentence[SENTENCE_MAX];
        int r;

        client_set_state(c);
        if (!s || (c->state == OCF_STATE_CONNECTING && c->daemon != DAEMON_PRESENT))
                return false;
        if (c->daemon != DAEMON_PRESENT) {
                finish(s, OCF_E_UNAVAILABLE, message_absent_text(c, sentence, sizeof(sentence)), NULL);
                return true;
        }
        r = send_search(s);
        if (r)
                unsent(s, r);
        return true;
}

static void end_all(struct ocf_client *c, bool also_unsent, int result, const char *text) {
        struct list ending = LIST_INIT(ending);

        LIST_FOR_EACH_SAFE(i, &c->searches) {
                struct search *s = LIST_ENTRY(i, struct search, link);

                if (!s->slot && !also_unsent)
                        continue;
                s->slot = sd_bus_slot_unref(s->slot);
                list_unlink(i);
                list_link_tail(&ending, i);
        }
        while (!list_is_empty(&ending))
                finish(LIST_ENTRY(list_first(&ending), struct search, link), result, text, NULL);
}

void search_lost(struct ocf_client *c) {
        end_all(c, false, OCF_E_UNAVAILABLE, "ocfd went away before the search was over");
}

void search_cancel_all(struct ocf_client *c) {
        end_all(c, true, -ECANCELED, "The client is gone");
}

/* ---- what programs call ---- */

int ocf_discover(struct ocf_client *c, unsigned timeout_ms, ocf_device_fn fn, void *userdata) {
        return timeout_ms && timeout_ms <= 60000 ? search_new(c, NULL, timeout_ms, fn, userdata) : -EINVAL;
}

int ocf_find_device(struct ocf_client *c, const char *name, ocf_device_fn fn, void *userdata) {
        if (!name || !name[0] || !utf8_is_valid(span_of_string(name), UTF8_BUS))
                return -EINVAL;
        return search_new(c, name, 0, fn, userdata);
}

struct waiter {
        struct ocf_client *client;
        struct ocf_device **ret; /* of FindDevice */
        ocf_device_fn fn;        /* of Discover */
        void *userdata;
        int result;
        bool is_done;
};

static void on_done(void *userdata, int result, const char *text, const struct ocf_device *device) {
        struct waiter *w = userdata;

        if (device && !w->ret) {
                w->fn(w->userdata, result, text, device);
                return;
        }
        w->is_done = true;
        w->result = result || !device ? result : ocf_device_copy(w->ret, device);
        if (w->result && result != -ECANCELED) {
                ocf_free(w->client->wait_text);
                w->client->wait_text = ocf_duplicate_string(text);
        }
}

/* It shall not find a stack frame that is gone. */
static void forget(struct ocf_client *c, const struct waiter *w) {
        LIST_FOR_EACH_SAFE(i, &c->searches) {
                struct search *s = LIST_ENTRY(i, struct search, link);

                if (s->userdata == w)
                        search_free(s);
        }
}

static int wait_for(struct waiter *w, int r) {
        struct ocf_client *c = w->client;

        while (!r && !w->is_done) {
                r = ocf_client_process(c);
                if (w->is_done)
                        return w->result; /* the client may be gone */
                if (!r)
                        r = ocf_client_wait(c, -1);
                r = r == -EINTR || r > 0 ? 0 : r;
        }
        if (r)
                forget(c, w);
        return r;
}

int ocf_discover_wait(struct ocf_client *c, unsigned timeout_ms, ocf_device_fn fn, void *userdata) {
        struct waiter w = { .client = c, .fn = fn, .userdata = userdata };

        if (!c || !fn)
                return -EINVAL;
        return c->depth ? -EBUSY : wait_for(&w, ocf_discover(c, timeout_ms, on_done, &w));
}

int ocf_find_device_wait(struct ocf_client *c, const char *name, struct ocf_device **ret) {
        struct waiter w = { .client = c, .ret = ret };

        if (!c || !ret)
                return -EINVAL;
        return c->depth ? -EBUSY : wait_for(&w, ocf_find_device(c, name, on_done, &w));
}

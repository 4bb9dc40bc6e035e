#include "dbus/bus.h"
#include "base/memory.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_US 250000u
#define RETRY_LAST_US  5000000u
#define QUEUED_MANY    1024u /* messages that the bus has not taken from us: we take no more from it */
#define PAUSE_US       10000u
#define STALLED_US     10000000u /* and if it takes none for so long it is not there any more */

/* ---- paths ---- */

const char *bus_path(char buf[static BUS_PATH_MAX], const char *parent, uint64_t number) {
        snprintf(buf, BUS_PATH_MAX, "%s/%llu", parent, (unsigned long long)number);
        return buf;
}

bool bus_path_number(const char *path, const char *parent, uint64_t *ret) {
        size_t n = strlen(parent);
        char canonical[BUS_PATH_MAX];
        uint64_t number;

        if (strncmp(path, parent, n) != 0 || path[n] != '/' || path[n + 1] < '0' || path[n + 1] > '9')
                return false;
        number = strtoull(path + n + 1, NULL, 10);
        if (strcmp(bus_path(canonical, parent, number), path) != 0)
                return false;
        *ret = number;
        return true;
}

int bus_nodes_free(char **nodes) {
        for (char **i = nodes; *i; i++)
                free(*i);
        free(nodes); /* sd-bus frees the good ones in the same way */
        return -ENOMEM;
}

/* ---- the connection ---- */

static char *address_of(const char *wanted) {
        const char *from;
        char *address;

        if (strcmp(wanted, "system") == 0) {
                from = getenv("DBUS_SYSTEM_BUS_ADDRESS");
                return ocf_duplicate_string(from ? from : "unix:path=/run/dbus/system_bus_socket");
        }
        if (strcmp(wanted, "session") != 0)
                return ocf_duplicate_string(wanted);
        from = getenv("DBUS_SESSION_BUS_ADDRESS");
        if (from)
                return ocf_duplicate_string(from);
        from = getenv("XDG_RUNTIME_DIR");
        return asprintf(&address, "unix:path=%s/bus", from ? from : "/run/user/0") < 0 ? NULL : address;
}

/* Everything that hung on the connection goes; the daemon is told first, so that apps linger or leave. */
static void connection_drop(struct bus *b, uint64_t now_us, int error) {
        uint64_t delay_us = RETRY_FIRST_US << (b->n_failures < 5 ? b->n_failures : 5);

        if (b->bus) {
                if (b->state == BUS_READY || !list_is_empty(&b->clients))
                        b->control->bus_lost(b->control->context);
                bus_clients_drop(b);
                bus_jobs_drop(b);
                bus_remote_told_drop(b);
                b->bus = sd_bus_close_unref(b->bus);
        }
        b->state = BUS_WAITING;
        b->broken = b->name_is_ours = false;
        b->pause_us = 0;
        b->last_error = error;
        b->n_failures++;
        /* Not all who lost the bus should come back in the same moment. */
        delay_us = ocf_min_u64(delay_us, RETRY_LAST_US);
        b->retry_us = now_us + delay_us / 2 + (now_us * 2654435761u >> 8) % (delay_us / 2 + 1);
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus *b = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        uint32_t result = 0;

        if (!e && sd_bus_message_read(m, "u", &result) >= 0 && (result == 1 || result == 4)) {
                b->name_is_ours = true;
                b->state = BUS_READY;
                b->last_error = 0;
                b->n_failures = 0;
                return 0;
        }
        b->last_error = e ? sd_bus_message_get_errno(m) : EEXIST;
        b->broken = true; /* and again later: the other one may leave, the policy may be mended */
        return 0;
}

static int add_objects_of_others(struct bus *b) {
        int r = bus_network_add(b);

        if (r >= 0)
                r = bus_remote_add(b);
        if (r >= 0)
                r = bus_tool_add(b);
        return r < 0 ? r : bus_job_add(b);
}

static int add_objects(struct bus *b) {
        int r = bus_clients_watch(b);

        if (r >= 0)
                r = bus_manager_add(b);
        if (r >= 0)
                r = bus_device_add(b);
        if (r >= 0)
                r = bus_application_add(b);
        if (r >= 0)
                r = bus_security_add(b);
        if (r >= 0)
                r = bus_store_add(b);
        if (r >= 0)
                r = bus_resource_add(b);
        return r < 0 ? r : add_objects_of_others(b);
}

static int connect_to(struct bus *b) {
        int r = sd_bus_new(&b->bus);

        if (r >= 0)
                r = sd_bus_set_address(b->bus, b->address);
        if (r >= 0)
                r = sd_bus_set_bus_client(b->bus, true);
        if (r >= 0)
                r = sd_bus_set_exit_on_disconnect(b->bus, false);
        if (r >= 0)
                r = add_objects(b);
        if (r >= 0)
                r = sd_bus_start(b->bus);
        if (r >= 0)
                r = sd_bus_request_name_async(b->bus, NULL, BUS_NAME, 0, on_name, b);
        return r;
}

static void try_to_connect(struct bus *b, uint64_t now_us) {
        int r;

        b->state = BUS_CONNECTING;
        r = connect_to(b);
        if (r < 0)
                connection_drop(b, now_us, -r);
}

int bus_new(struct bus **ret, const struct bus_control *control, const char *address) {
        struct bus *b = ocf_new(struct bus);

        if (!b)
                return -ENOMEM;
        b->control = control;
        list_init(&b->clients);
        list_init(&b->requests);
        list_init(&b->calls);
        list_init(&b->agents);
        list_init(&b->questions);
        list_init(&b->jobs);
        list_init(&b->pins);
        list_init(&b->rounds);
        list_init(&b->observed);
        bus_remote_told_init(b);
        b->state = BUS_WAITING;
        b->wanted = ocf_duplicate_string(address);
        b->address = address_of(address);
        b->scratch = ocf_allocate(1, BUS_VALUE_MAX);
        if (!b->wanted || !b->address || !b->scratch) {
                bus_free(b);
                return -ENOMEM;
        }
        *ret = b;
        return 0;
}

struct bus *bus_free(struct bus *b) {
        if (!b)
                return NULL;
        bus_pins_free(b); /* so that nobody is told that they said nothing */
        if (b->bus) {
                bus_clients_drop(b);
                bus_jobs_drop(b);
                bus_remote_told_drop(b);
                b->bus = sd_bus_close_unref(b->bus);
        }
        bus_rounds_orphan(b, NULL);
        LIST_FOR_EACH_SAFE(i, &b->requests) /* answered later, if at all: nobody is told */
        list_unlink(i);
        ocf_free(b->wanted);
        ocf_free(b->address);
        ocf_free(b->scratch);
        bus_security_free(b);
        return ocf_free(b);
}

/* ---- the loop ---- */

int bus_fd(const struct bus *b) {
        return b->bus ? sd_bus_get_fd(b->bus) : -1;
}

/* What comes in makes what goes out: so nothing is read while much waits to be written. */
static bool is_congested(struct bus *b) {
        uint64_t n = 0;

        return sd_bus_get_n_queued_write(b->bus, &n) >= 0 && n > QUEUED_MANY;
}

bool bus_takes_news(struct bus *b) {
        return !b->bus || !is_congested(b);
}

int bus_events(struct bus *b) {
        int r = b->bus ? sd_bus_get_events(b->bus) : 0;

        return r < 0 || (b->bus && is_congested(b)) ? 0 : r;
}

uint64_t bus_deadline(struct bus *b) {
        uint64_t deadline;

        if (!b->bus)
                return b->retry_us;
        if (is_congested(b)) /* what sd-bus has read already waits as well */
                deadline = b->pause_us;
        else if (sd_bus_get_timeout(b->bus, &deadline) < 0)
                deadline = OCF_NEVER;
        return ocf_min_u64(deadline, ocf_min_u64(b->calls_due_us, b->pins_due_us));
}

/* While it is congested sd-bus has its turn every few ms: it writes what it can, and reads one message at
 * most. Return: whether this is such a turn. */
static bool process_congestion(struct bus *b, uint64_t now_us) {
        uint64_t n = 0;

        if (!is_congested(b)) {
                b->pause_us = 0;
                return true;
        }
        (void)sd_bus_get_n_queued_write(b->bus, &n);
        if (!b->pause_us || n < b->n_congested)
                b->stalled_us = now_us + STALLED_US;
        b->n_congested = n;
        if (now_us >= b->stalled_us) {
                connection_drop(b, now_us, ENOBUFS);
                return false;
        }
        if (b->pause_us && now_us >= b->pause_us) {
                b->pause_us = now_us + PAUSE_US;
                return true;
        }
        if (!b->pause_us)
                b->pause_us = now_us + PAUSE_US;
        return false;
}

int bus_process(struct bus *b, uint64_t now_us) {
        int r;

        if (!b->bus) {
                if (now_us >= b->retry_us)
                        try_to_connect(b, now_us);
                return 0;
        }
        bus_calls_expire(b, now_us);
        bus_pins_expire(b, now_us);
        if (!process_congestion(b, now_us))
                return 0;
        r = sd_bus_process(b->bus, NULL);
        if (b->broken) {
                connection_drop(b, now_us, b->last_error);
                return 0;
        }
        if (r == -ENOMEM)
                return r;
        if (r < 0 || sd_bus_is_open(b->bus) <= 0) {
                connection_drop(b, now_us, r < 0 ? -r : ECONNRESET);
                return 0;
        }
        return r > 0;
}

void bus_get_status(const struct bus *b, struct bus_status *ret) {
        *ret = (struct bus_status){ .state = b->state, .last_error = b->last_error, .address = b->wanted };
}

bool bus_is_ready(const struct bus *b) {
        return b->bus && sd_bus_is_ready(b->bus) > 0;
}

void bus_tell(struct bus *b, const struct model_event *event) {
        if (!bus_is_ready(b))
                return;
        if (event->device)
                bus_device_tell(b, event->device, event->news);
        else if (event->app)
                bus_application_tell(b, event->app, event->news);
        else
                bus_resource_tell(b, event->resource, event->news);
}

void bus_tell_status(struct bus *b) {
        if (!bus_is_ready(b))
                return;
        bus_manager_tell(b);
        bus_security_tell(b);
}

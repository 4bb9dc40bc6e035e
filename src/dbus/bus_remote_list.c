#include "dbus/bus_private.h"
#include "model/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Which objects of other devices are listed. An answer to GetManagedObjects that is larger than the bus takes
 * would cost us the connection, and strangers decide how much there is to show. So what does not fit is shown
 * to who asks for it by its path, and is announced; but it is not listed. Of the devices that somebody needs,
 * all that they have comes first.
 */

#define LIST_MAX      (16u * 1024 * 1024) /* of the 32 MiB that dbus-daemon takes */
#define DEVICE_COST   2560u               /* bytes of one in that answer, without its texts */
#define RESOURCE_COST 640u

static size_t cost_of(const struct remote_device *d) {
        size_t n = DEVICE_COST + d->n_bytes;

        LIST_FOR_EACH(i, &d->resources)
        n += RESOURCE_COST + LIST_ENTRY(i, struct remote_resource, link)->n_bytes;
        return n;
}

size_t bus_remote_cost(const struct bus *b) {
        const struct remotes *t = b->control->client.remotes;
        size_t n = 0;

        for (const struct remote_device *d = remotes_first(t); d; d = remotes_after(t, d))
                n += cost_of(d);
        return n < LIST_MAX ? n : LIST_MAX;
}

static size_t count_objects(const struct remotes *t) {
        size_t n = 0;

        for (const struct remote_device *d = remotes_first(t); d; d = remotes_after(t, d))
                n += 1 + d->n_resources;
        return n;
}

static bool add_node(char **nodes, size_t *n, const char *path) {
        nodes[*n] = strdup(path);
        return nodes[(*n)++];
}

static bool add_nodes(char **nodes, size_t *n, const struct remote_device *d, bool with_resources) {
        char path[BUS_PATH_MAX];

        if (!add_node(nodes, n, bus_remote_path(path, &d->id)))
                return false;
        if (!with_resources)
                return true;
        LIST_FOR_EACH(i, &d->resources) {
                const struct remote_resource *r = LIST_ENTRY(i, struct remote_resource, link);

                if (!add_node(nodes, n, bus_remote_resource_path(path, &d->id, r->number)))
                        return false;
        }
        return true;
}

static bool add_all_nodes(char **nodes, size_t *n, const struct remotes *t) {
        size_t left = LIST_MAX;

        for (int pass = 0; pass < 2; pass++)
                for (const struct remote_device *d = remotes_first(t); d; d = remotes_after(t, d)) {
                        if (remote_is_needed(d) == (bool)pass || cost_of(d) > left)
                                continue;
                        left -= cost_of(d);
                        if (!add_nodes(nodes, n, d, true))
                                return false;
                }
        return true;
}

static bool add_devices(char **nodes, size_t *n, const struct remotes *t) {
        for (const struct remote_device *d = remotes_first(t); d; d = remotes_after(t, d))
                if (!add_nodes(nodes, n, d, false))
                        return false;
        return true;
}

static const struct remote_device *one_at(const struct remotes *t, const char *path) {
        struct uuid id;
        uint32_t number;

        return bus_remote_parse(path, &id, &number) && !number ? remotes_find(t, &id) : NULL;
}

/* Who introspects one object is told of its children; all of them are for GetManagedObjects. */
static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                     sd_bus_error *error) {
        const struct bus *b = userdata;
        const struct remotes *t = b->control->client.remotes;
        const struct remote_device *one = one_at(t, prefix);
        char **nodes = calloc(count_objects(t) + 1, sizeof(*nodes));
        size_t n = 0;
        bool is_done;

        if (!nodes)
                return -ENOMEM;
        if (one)
                is_done = add_nodes(nodes, &n, one, true);
        else if (strcmp(prefix, BUS_REMOTES) == 0)
                is_done = add_devices(nodes, &n, t);
        else
                is_done = add_all_nodes(nodes, &n, t);
        if (!is_done)
                return bus_nodes_free(nodes);
        *ret_nodes = nodes;
        return 0;
}

int bus_remote_list_add(struct bus *b) {
        return sd_bus_add_node_enumerator(b->bus, NULL, BUS_REMOTES, enumerate, b);
}

#include "base/memory.h"
#include "dbus/bus_private.h"
#include "model/remote.h"

#include <string.h>

/*
 * What was told of each device on the network. The model says in which group of
 * properties something happened, which may have come to nothing before it is
 * told; what is named in a signal is what is different.
 */

struct told_device {
        struct list link;
        struct uuid id;
        struct bus_told told;
};

enum {
        TOLD_NAME,
        TOLD_TYPES,
        TOLD_SPECIFICATION,
        TOLD_PIID,
        TOLD_OWNERSHIP,
        TOLD_OWNER,
        TOLD_TRANSFERS,
        TOLD_DOMAIN,
        TOLD_ENDPOINTS,
        TOLD_REACHABLE,
        _TOLD_N,
};

static const char *const names[] = {
        [TOLD_NAME] = "Name",
        [TOLD_TYPES] = "Types",
        [TOLD_SPECIFICATION] = "SpecificationVersion",
        [TOLD_PIID] = "ProtocolIndependentId",
        [TOLD_OWNERSHIP] = "Ownership",
        [TOLD_OWNER] = "Owner",
        [TOLD_TRANSFERS] = "Transfers",
        [TOLD_DOMAIN] = "Domain",
        [TOLD_ENDPOINTS] = "Endpoints",
        [TOLD_REACHABLE] = "Reachable",
        [_TOLD_N] = NULL,
};

static struct bus_told look(const struct remote_device *d) {
        struct bus_told now = { 0 };
        char text[REMOTE_ADDRESS_TEXT], id[UUID_TEXT_MAX];

        bus_told_text(&now, TOLD_NAME, d->name ? d->name : "");
        for (char **type = d->types; type && *type; type++)
                bus_told_text(&now, TOLD_TYPES, *type);
        bus_told_text(&now, TOLD_SPECIFICATION, d->icv ? d->icv : "");
        bus_told_text(&now, TOLD_PIID, uuid_format(&d->piid, id));
        bus_told_number(&now, TOLD_OWNERSHIP, d->ownership);
        bus_told_text(&now, TOLD_OWNER, uuid_format(&d->owner, id));
        bus_told_number(&now, TOLD_TRANSFERS, d->transfers);
        bus_told_text(&now, TOLD_DOMAIN, d->domain ? d->domain : "");
        for (size_t i = 0; i < d->n_addresses; i++) {
                bus_told_text(&now, TOLD_ENDPOINTS, remote_address_format(&d->addresses[i], NULL, text));
                bus_told_number(&now, TOLD_ENDPOINTS, d->addresses[i].interface);
        }
        bus_told_number(&now, TOLD_REACHABLE, d->reachable);
        return now;
}

static struct list *bucket_of(struct bus *b, const struct uuid *id) {
        return &b->told_devices[id->bytes[0] ^ id->bytes[15]];
}

static struct told_device *told_find(struct bus *b, const struct uuid *id) {
        struct list *bucket = bucket_of(b, id);

        LIST_FOR_EACH(i, bucket) {
                struct told_device *t = LIST_ENTRY(i, struct told_device, link);

                if (uuid_equal(&t->id, id))
                        return t;
        }
        return NULL;
}

static void told_free(struct told_device *t) {
        list_unlink(&t->link);
        ocf_free(t);
}

void bus_remote_told_added(struct bus *b, const struct remote_device *d) {
        struct told_device *t = told_find(b, &d->id);

        if (!t) {
                t = ocf_new(struct told_device);
                if (!t)
                        return; /* each change is told as all of its group, then */
                t->id = d->id;
                list_link_tail(bucket_of(b, &d->id), &t->link);
        }
        t->told = look(d);
}

void bus_remote_told_removed(struct bus *b, const struct uuid *id) {
        struct told_device *t = told_find(b, id);

        if (t)
                told_free(t);
}

bool bus_remote_tell_different(struct bus *b, const struct remote_device *d, const char *path) {
        struct told_device *t = told_find(b, &d->id);
        const struct bus_told now = look(d);

        if (!t) {
                bus_remote_told_added(b, d);
                return false;
        }
        bus_tell_different(b, path, BUS_NAME ".RemoteDevice1", names, &t->told, &now);
        return true;
}

void bus_remote_told_init(struct bus *b) {
        for (size_t i = 0; i < ARRAY_SIZE(b->told_devices); i++)
                list_init(&b->told_devices[i]);
}

void bus_remote_told_drop(struct bus *b) {
        for (size_t i = 0; i < ARRAY_SIZE(b->told_devices); i++)
                while (!list_is_empty(&b->told_devices[i]))
                        told_free(LIST_ENTRY(list_first(&b->told_devices[i]), struct told_device, link));
}

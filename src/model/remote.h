/*
 * The devices of others on the network, as far as they have told: who they are,
 * where they are reached, what they have.
 *
 * Answers of discovery go in (core.md 4, services.md 1.2), from whatever
 * address; devices are merged by their id, and what changed comes out as events. Nothing
 * in it is proven: whoever can write on the link can write an answer. So it is bounded,
 * whom somebody needs is never pushed out by strangers, and an address over which a
 * session stood is preferred to one that was merely told.
 *
 * Strings and lists are good until the next call that teaches, expires or forgets.
 */
#ifndef OCF_MODEL_REMOTE_H
#define OCF_MODEL_REMOTE_H

#include "base/list.h"
#include "base/uuid.h"
#include "protocol/coap_peer.h"
#include "protocol/rep.h"

#define REMOTE_ADDRESSES_MAX 12u
#define REMOTE_NAME_MAX      64u
#define REMOTE_HREF_MAX      256u
#define REMOTE_TYPES_MAX     16u

struct remotes;

struct remote_address {
        uint8_t ip[16];     /* IPv4 as ::ffff:a.b.c.d */
        uint32_t interface; /* of a link-local one, else 0 */
        uint16_t port;
        bool secure, stream;
        bool proven;      /* a session stood there */
        uint8_t from[16]; /* the address that told it, and over which link where it is link-local */
        uint32_t from_interface;
        uint32_t told_s; /* when, the last time */
};

enum remote_ownership { REMOTE_UNKNOWN, REMOTE_UNOWNED, REMOTE_MINE, REMOTE_OTHERS };

/* What is new; an event has several. */
enum {
        REMOTE_ADDED = 1,
        REMOTE_REMOVED = 2,
        REMOTE_NAME = 4,
        REMOTE_TYPES = 8,      /* of a resource: its interfaces and policy, too */
        REMOTE_VERSIONS = 16,  /* icv, piid */
        REMOTE_OWNERSHIP = 32, /* owner, transfer methods */
        REMOTE_DOMAIN = 64,
        REMOTE_ADDRESSES = 128,
        REMOTE_REACHABLE = 256,
};

struct remote_device {
        struct uuid id;
        char *name, *icv, *domain; /* NULL: unknown */
        char **types;              /* NULL ends them; NULL: unknown */
        struct uuid piid, owner;   /* nil: unknown, or none */
        enum remote_ownership ownership;
        uint8_t transfers; /* bits of oxms (0: Just Works, 1: PIN, 2: manufacturer) */
        uint16_t sct;      /* credential types, of doxm */
        bool knows_doxm;
        bool reachable;
        bool by_hand; /* its address was added by hand */
        uint64_t first_seen_ms, last_seen_ms, last_asked_ms;
        struct remote_address addresses[REMOTE_ADDRESSES_MAX]; /* the preferred one first */
        size_t n_addresses;
        struct list resources; /* of struct remote_resource.link */
        size_t n_resources;
        void *user; /* of the daemon */

        /* Of remote.c: */
        struct remotes *table;
        struct list link, bucket_link, dirty_link;
        unsigned n_pins, news, n_silent;
        bool is_gone;
        uint32_t last_number;
        size_t n_bytes;
};

struct remote_resource {
        struct list link;
        struct remote_device *device;
        uint32_t number; /* in its device, never used again */
        char *href;
        char **types, **interfaces; /* NULL ends them */
        bool discoverable, observable;

        /* Of remote.c: */
        struct list dirty_link;
        unsigned news;
        bool is_gone, is_marked;
        size_t n_bytes;
};

struct remotes_config {
        uint32_t n_devices;   /* at most */
        uint32_t n_resources; /* of one device */
        uint64_t n_bytes;     /* in all */
        uint64_t hash_key[2]; /* random */
        void *context;
        bool (*is_mine)(void *context, const struct uuid *id); /* do we own it? NULL: nothing is */
};

#define REMOTES_DEFAULT .n_devices = 2048, .n_resources = 1024, .n_bytes = 16u << 20

int remotes_new(struct remotes **ret, const struct remotes_config *config); /* 0 or -ENOMEM */
struct remotes *remotes_free(struct remotes *t);

/* ---- what is told; rep is in normal form. Return: devices in it; 0: nothing that could be used; -ENOMEM
 * ---- */

/* An answer of /oic/res, of any layout, of one device or several; whole: each device in it has told all of
 * its resources. */
int remotes_learn_res(struct remotes *t, uint64_t now_ms, const struct coap_peer *from, struct span rep,
                      bool whole);
/* Of /oic/sec/doxm; id NULL: the one that it names. */
int remotes_learn_doxm(struct remotes *t, uint64_t now_ms, const struct coap_peer *from,
                       const struct uuid *id, struct span rep);
int remotes_learn_device(struct remotes *t, uint64_t now_ms, const struct uuid *id,
                         struct span rep); /* /oic/d */

/* One that was known before we were started: name "" is none. 0 and *ret, NULL: there is no room; -ENOMEM. */
int remotes_restore(struct remotes *t, uint64_t now_ms, const struct uuid *id, const char *name,
                    const struct remote_address *addresses, size_t n_addresses, struct remote_device **ret);

/* It answered; or it was asked, and did not (three times: it is not reachable). */
void remote_answered(struct remote_device *d, uint64_t now_ms);
void remote_was_silent(struct remote_device *d, uint64_t now_ms);

/* A session stood at this address, or none came about there: it is the first, or the last. */
void remote_address_works(struct remote_device *d, const uint8_t ip[16], uint16_t port, bool works);

/* ---- questions ---- */

struct remote_device *remotes_find(const struct remotes *t, const struct uuid *id);
struct remote_resource *remote_find(const struct remote_device *d, struct span href);
struct remote_resource *remote_by_number(const struct remote_device *d, uint32_t number);

/* Who is meant by a UUID, 4 or more of its first digits, ocf://UUID, or a name. NULL: nobody; or several,
 * then *ret_others is another one of them. A whole UUID is never a name: whoever likes may call himself so.
 */
struct remote_device *remotes_find_by_name(const struct remotes *t, const char *name,
                                           struct remote_device **ret_others);

/* The devices, oldest first. */
struct remote_device *remotes_first(const struct remotes *t);
struct remote_device *remotes_after(const struct remotes *t, const struct remote_device *d);
size_t remotes_count(const struct remotes *t);
size_t remotes_bytes(const struct remotes *t);
uint64_t remotes_refused(const struct remotes *t); /* for which there was no room */

/* ---- changes of ours ---- */

void remote_pin(struct remote_device *d); /* somebody needs it: it stays */
void remote_unpin(struct remote_device *d);
bool remote_is_needed(const struct remote_device *d); /* pinned, ours, or added by hand */
void remote_owned_by_us(struct remote_device *d);     /* the tool's devices have changed */

/* We have just taken it, or know that it is owned. */
void remote_is_owned(struct remote_device *d);

/* Ownership gave it another id; what is known of it goes along. 0; -ENOMEM. */
int remote_rename(struct remote_device *d, const struct uuid *id);
void remote_forget(struct remote_device *d);

/* Those that were silent for longer, and that nobody needs, are forgotten. */
void remotes_expire(struct remotes *t, uint64_t now_ms, uint64_t after_ms);

/* ---- what happened ---- */

struct remote_event {
        struct remote_device *device;
        struct remote_resource *resource; /* NULL: the device */
        unsigned news;
        struct uuid
                was; /* of a device that was renamed: REMOVED is told of this id, then ADDED of the new one */
};

/* Pops; what was removed is good until the next call. */
bool remotes_event(struct remotes *t, struct remote_event *ret);

/* "coaps://[fe80::1]:5684"; zone: the name of the interface, or NULL. */
#define REMOTE_ADDRESS_TEXT 96
const char *remote_address_format(const struct remote_address *a, const char *zone,
                                  char buf[static REMOTE_ADDRESS_TEXT]);

#endif

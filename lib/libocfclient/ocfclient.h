/*
 * libocfclient: the resources of your program on an OCF network, through ocfd.
 *
 * A program makes a client, gives it resources, and runs its loop. The daemon
 * answers for published values; or your handlers do. Resources of other
 * programs on this machine, and of other devices, are retrieved, updated and
 * observed through the same client. When the daemon or the bus is not there yet, goes away or comes
 * back, the client waits, registers everything again and restores what is
 * observed; your program need do nothing.
 *
 * Outcomes. Functions that return int return 0, or a positive OCF_E_* where
 * ocfd, a resource or another program says no, or a negative errno where the
 * trouble is ours: -EINVAL for an argument that cannot be right (never an
 * abort), -ENOMEM. Outputs are left alone on failure.
 *
 * Threads and callbacks. A client, and all that was made with it, belongs to
 * one thread at a time; different clients may be used by different threads.
 * There are no global variables and no locks. Callbacks come only from
 * ocf_client_process() and the functions that wait (ocf_client_run(),
 * ocf_retrieve_wait() ...), never from the function that asked for them.
 * Inside a callback every function may be called, also those that free what
 * the callback is about, except those that wait: they return -EBUSY there.
 *
 * Link with: pkg-config --cflags --libs libocfclient. See libocfclient(3).
 */
#ifndef OCFCLIENT_H
#define OCFCLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

struct ocf_client;
struct ocf_value;
struct ocf_resource;
struct ocf_request;
struct ocf_observation;
struct ocf_device;

/* What can be wrong with a request; the CoAP code that a peer on the network sees is in brackets. */
enum {
        OCF_E_BAD_REQUEST = 1,     /* the query or another argument cannot be understood (4.00) */
        OCF_E_BAD_REPRESENTATION,  /* the resource cannot take this value (4.00) */
        OCF_E_NOT_AUTHORIZED,      /* (4.01) */
        OCF_E_BAD_OPTION,          /* (4.02) */
        OCF_E_FORBIDDEN,           /* the interface does not let it through, or the program says no (4.03) */
        OCF_E_NOT_FOUND,           /* no such resource (4.04) */
        OCF_E_METHOD_NOT_ALLOWED,  /* (4.05) */
        OCF_E_NOT_ACCEPTABLE,      /* (4.06) */
        OCF_E_PRECONDITION_FAILED, /* (4.12) */
        OCF_E_TOO_LARGE,           /* (4.13) */
        OCF_E_UNSUPPORTED_FORMAT,  /* (4.15) */
        OCF_E_FAILED,              /* the program that answers for it failed (5.00) */
        OCF_E_NOT_IMPLEMENTED,     /* (5.01) */
        OCF_E_UNAVAILABLE,         /* ocfd or the program is away for a moment (5.03) */
        OCF_E_BUSY,                /* too much is under way (5.03) */
        OCF_E_TIMEOUT,             /* no answer in time (5.04) */
        OCF_E_ALREADY_EXISTS,      /* another program has registered this href */
        OCF_E_INVALID_ARGUMENTS,   /* a registration that cannot be right */
        OCF_E_LIMITS_EXCEEDED,     /* this user has as much as one user may have */
        OCF_E_NOT_ALLOWED,         /* the administrator or the bus does not allow it */
        OCF_E_NOT_REACHABLE,       /* another device does not answer, or no session with it came about */
        OCF_E_NOT_OWNED,           /* the onboarding tool of this daemon does not own the device */
        OCF_E_NOT_INITIALIZED,     /* there is no onboarding tool yet */
};

/* The name of an outcome as on the bus, "NotFound"; of a negative errno, its text; "None" of 0. Never NULL.
 */
const char *ocf_result_name(int result);

/* ---- values: representations of resources ---- */

enum ocf_type {
        OCF_NULL,
        OCF_BOOL,
        OCF_INT,    /* 64 bits */
        OCF_DOUBLE, /* a JSON number with a fraction */
        OCF_STRING, /* UTF-8 */
        OCF_BYTES,
        OCF_ARRAY,
        OCF_MAP,   /* with text keys, which stay in order */
        OCF_OTHER, /* CBOR that is none of these: passed on as it is */
};

/* An empty map, or an empty array. */
int ocf_value_new_map(struct ocf_value **ret);
int ocf_value_new_array(struct ocf_value **ret);
int ocf_value_copy(struct ocf_value **ret, const struct ocf_value *v);
struct ocf_value *ocf_value_free(struct ocf_value *v); /* takes NULL; returns NULL */

/*
 * Sets a key of a map; one that is there keeps its place. With key NULL appends to an array instead. Strings,
 * bytes and values are copied. -EINVAL: v is no map (no array), key or string are not UTF-8; -E2BIG: more
 * than 256 keys or nested deeper than 16.
 */
int ocf_value_set_null(struct ocf_value *v, const char *key);
int ocf_value_set_bool(struct ocf_value *v, const char *key, bool value);
int ocf_value_set_int(struct ocf_value *v, const char *key, int64_t value);
int ocf_value_set_double(struct ocf_value *v, const char *key, double value);
int ocf_value_set_string(struct ocf_value *v, const char *key, const char *value);
int ocf_value_set_bytes(struct ocf_value *v, const char *key, const void *data, size_t n);
int ocf_value_set_value(struct ocf_value *v, const char *key, const struct ocf_value *value);

/*
 * Reads a key of a map; with key NULL the value itself. True, and *ret is set, when it is there and of this
 * type: get_double takes integers too, get_int takes doubles without a fraction. What they give is valid as
 * long as v. v may be NULL: false.
 */
bool ocf_value_get_bool(const struct ocf_value *v, const char *key, bool *ret);
bool ocf_value_get_int(const struct ocf_value *v, const char *key, int64_t *ret);
bool ocf_value_get_double(const struct ocf_value *v, const char *key, double *ret);
bool ocf_value_get_string(const struct ocf_value *v, const char *key, const char **ret);
bool ocf_value_get_bytes(const struct ocf_value *v, const char *key, const void **ret, size_t *ret_n);

/* The value of a key, NULL when there is none; the i-th item of an array or map, with its key where *ret_key
 * is wanted; how many there are. They belong to v. */
const struct ocf_value *ocf_value_get(const struct ocf_value *v, const char *key);
const struct ocf_value *ocf_value_at(const struct ocf_value *v, size_t i, const char **ret_key);
size_t ocf_value_count(const struct ocf_value *v);
enum ocf_type ocf_value_type(const struct ocf_value *v); /* of NULL: OCF_NULL */

/* From and to CBOR (RFC 8949). to_cbor: -ENOSPC when it does not fit; the number of bytes is in *ret_n then,
 * too. from_cbor: -EBADMSG when it is not one well-formed item. */
int ocf_value_to_cbor(const struct ocf_value *v, void *data, size_t n_max, size_t *ret_n);
int ocf_value_from_cbor(struct ocf_value **ret, const void *data, size_t n);

/* ---- the client ---- */

enum ocf_state {
        OCF_STATE_CONNECTING, /* to the bus, to ocfd, or a registration is under way */
        OCF_STATE_READY,      /* everything is registered */
        OCF_STATE_WAITING,    /* there is no bus or no ocfd: tried again, or waited for */
        OCF_STATE_REFUSED,    /* ocfd refuses something: tried again now and then, another program may go */
};

/* result: why it waits or is refused, OCF_E_* or a negative errno, else 0; text: the same as a sentence for
 * people, or "". Comes when one of them has changed. */
typedef void (*ocf_state_fn)(void *userdata, enum ocf_state state, int result, const char *text);

/* bus: "system" (or NULL), "session", or a D-Bus address. The bus need not be there yet. */
int ocf_client_new(struct ocf_client **ret, const char *bus);

/* Takes everything back and frees the client with its resources and observations; requests that wait for an
 * answer of yours stay valid until you give it. Answers that are outstanding come now, with -ECANCELED. Takes
 * NULL; returns NULL. Inside a callback it takes effect when ocf_client_process() returns, which says
 * -ECANCELED then. */
struct ocf_client *ocf_client_free(struct ocf_client *c);

/* Name for people, also what a restarted program is recognised by, with its user; and how long (ms, at most
 * 600000) its resources answer "unavailable" and keep their observers when it ends without freeing the
 * client, so that it may restart. Before the first resource is registered. */
int ocf_client_set_name(struct ocf_client *c, const char *name, uint64_t linger_ms);

/* The logical device for everything: "/" the first one (default), else a path such as /org/ocfd/device/1.
 * Before the first resource is registered. */
int ocf_client_set_device(struct ocf_client *c, const char *path);

/* How long an answer may take, 1 to 60000 ms; where this is not called, 5000 for programs on this machine and
 * 15000 for other devices. */
int ocf_client_set_timeout(struct ocf_client *c, unsigned timeout_ms);

int ocf_client_on_state(struct ocf_client *c, ocf_state_fn fn, void *userdata);
enum ocf_state ocf_client_state(const struct ocf_client *c); /* of NULL: OCF_STATE_WAITING */
const char *ocf_client_text(const struct ocf_client *c);     /* its sentence */

/*
 * Any event loop: watch ocf_client_fd() for reading, and call ocf_client_process() when it is readable, and
 * once at the beginning. The descriptor stays the same for the life of the client, through all reconnections,
 * and becomes readable for time-outs, too. process() never blocks. Return: 0; negative errno.
 */
int ocf_client_fd(const struct ocf_client *c);
int ocf_client_process(struct ocf_client *c);

/* Without a loop: waits until process() has something to do. timeout_ms: -1 for ever. Return: 1 when it has,
 * 0 when time is up; -EINTR after a signal; other negative errno. */
int ocf_client_wait(struct ocf_client *c, int timeout_ms);

/* process() and wait() until ocf_client_stop(), which may be called from a signal handler. */
int ocf_client_run(struct ocf_client *c);
int ocf_client_stop(struct ocf_client *c);

/* ---- resources of this program ---- */

enum ocf_method {
        OCF_RETRIEVE, /* GET */
        OCF_UPDATE,   /* POST, or PUT */
        OCF_CREATE,   /* POST on oic.if.create */
        OCF_DELETE,   /* DELETE */
};

/* Policy. The default is discoverable and observable. Insecure: may be reached over plain CoAP, where the
 * administrator allows it ([Security] AllowInsecure= of ocfd.conf(5)). */
enum {
        OCF_DISCOVERABLE = 1 << 0,
        OCF_OBSERVABLE = 1 << 1,
        OCF_INSECURE = 1 << 2,
};

/* A request for one of your resources. Answer it with ocf_request_respond() or ocf_request_fail(), exactly
 * once, now or later; the daemon waits for some seconds. Until then it is yours. */
typedef void (*ocf_request_fn)(void *userdata, struct ocf_request *request);

/* Somebody else has set a published value: value is the whole new one, and belongs to the resource. */
typedef void (*ocf_updated_fn)(void *userdata, struct ocf_resource *resource, const struct ocf_value *value);

/* href: "/lamp". It is not registered yet. -EEXIST: the client has one with this href. */
int ocf_resource_new(struct ocf_resource **ret, struct ocf_client *c, const char *href);
struct ocf_resource *ocf_resource_free(struct ocf_resource *r); /* takes it back; takes NULL; returns NULL */

/* What it is. -EBUSY after ocf_resource_register(). Types ("oic.r.switch.binary"): at least one. Interfaces
 * ("oic.if.a"): the first is the default one; oic.if.rw when there is none, oic.if.baseline is always there.
 */
int ocf_resource_add_type(struct ocf_resource *r, const char *type);
int ocf_resource_add_interface(struct ocf_resource *r, const char *interface_name);
int ocf_resource_set_name(struct ocf_resource *r, const char *name);
int ocf_resource_set_policy(struct ocf_resource *r, unsigned flags);

/*
 * Your program answers itself. Without any handler a resource is published: ocfd answers from the last value,
 * and applies updates that the interface allows. Where there is a handler but none for OCF_RETRIEVE, the
 * library answers those from the last value; other methods without one are not allowed. -EBUSY after
 * ocf_resource_register().
 */
int ocf_resource_set_handler(struct ocf_resource *r, enum ocf_method method, ocf_request_fn fn,
                             void *userdata);
int ocf_resource_on_updated(struct ocf_resource *r, ocf_updated_fn fn, void *userdata);

/* From now on it is registered, and again whenever ocfd or the bus comes back. Resources that are to come and
 * go as a whole are registered without ocf_client_process() in between. What ocfd says, on_state tells. */
int ocf_resource_register(struct ocf_resource *r);

/*
 * Publishes a value: its keys are laid over those it has, observers are told. Before ocf_resource_register()
 * it is the first value. When values come faster than the bus takes them, the newest ones arrive. With
 * handlers the value is kept for OCF_RETRIEVE, and observers are served anew. -EINVAL: not a map; -EMSGSIZE:
 * more than 64 KiB.
 */
int ocf_resource_publish(struct ocf_resource *r, const struct ocf_value *value);

/* What your OCF_RETRIEVE handler would answer has changed: observers are served anew. */
int ocf_resource_changed(struct ocf_resource *r);

const char *ocf_resource_href(const struct ocf_resource *r);
const struct ocf_value *ocf_resource_value(const struct ocf_resource *r); /* the last value, its own */

/* ---- requests for them ---- */

/* Answers and frees the request. value: the representation; NULL for none, which after an OCF_UPDATE means:
 * retrieve it from me. An answer that comes too late, or after the client was freed, does no harm. On failure
 * (-EINVAL) the request is answered with OCF_E_FAILED, and freed all the same. */
int ocf_request_respond(struct ocf_request *q, const struct ocf_value *value);
int ocf_request_fail(struct ocf_request *q, int result,
                     const char *text); /* result: OCF_E_*; text may be NULL */

/* What is asked; all belong to the request. "" or NULL where there is none. */
enum ocf_method ocf_request_method(const struct ocf_request *q);
const char *ocf_request_href(const struct ocf_request *q);
const char *ocf_request_interface(const struct ocf_request *q); /* the selected one */
const char *ocf_request_query(const struct ocf_request *q);     /* the whole query, not unescaped */
const struct ocf_value *ocf_request_value(const struct ocf_request *q);
const char *ocf_request_device_id(
        const struct ocf_request *q); /* who asks, where it came over a secure channel */
bool ocf_request_is_for_observers(const struct ocf_request *q); /* not for one peer */

/* ---- resources of other programs on this machine, of ocfd itself, and of other devices ---- */

/*
 * uri: href, with a query if need be: "/lamp?if=oic.if.baseline". Of another device: "ocf://DEVICE/lamp",
 * where DEVICE is its UUID, the beginning of it (4 digits or more), or its name; ocfd has heard of it, see
 * ocf_discover(). Which session it goes over, and with whose credentials, is ocfd's affair. The callback
 * comes exactly once. result: 0 and the representation (NULL where there is none); OCF_E_*; -ECANCELED. text:
 * a sentence about what went wrong, else "". Without ocfd the answer is OCF_E_UNAVAILABLE, at once.
 */
typedef void (*ocf_answer_fn)(void *userdata, int result, const char *text, const struct ocf_value *value);

int ocf_retrieve(struct ocf_client *c, const char *uri, ocf_answer_fn fn, void *userdata);
int ocf_update(struct ocf_client *c, const char *uri, const struct ocf_value *value, ocf_answer_fn fn,
               void *userdata);
int ocf_create(struct ocf_client *c, const char *uri, const struct ocf_value *value, ocf_answer_fn fn,
               void *userdata);
int ocf_delete(struct ocf_client *c, const char *uri, ocf_answer_fn fn, void *userdata);

/* The same, for simple programs: they wait, and callbacks come meanwhile. ret may be NULL; *ret is the
 * caller's, and NULL where the answer has no value. */
int ocf_retrieve_wait(struct ocf_client *c, const char *uri, struct ocf_value **ret);
int ocf_update_wait(struct ocf_client *c, const char *uri, const struct ocf_value *value,
                    struct ocf_value **ret);
int ocf_create_wait(struct ocf_client *c, const char *uri, const struct ocf_value *value,
                    struct ocf_value **ret);
int ocf_delete_wait(struct ocf_client *c, const char *uri);
const char *ocf_client_error(const struct ocf_client *c); /* why the last of these failed */

/*
 * Follows a resource: the callback comes with the representation now, and whenever it changes, until the
 * observation is freed. When the resource or ocfd goes, it comes once with OCF_E_*, and again with a value
 * when it is back. A slow program gets the newest value. -EEXIST: this client follows the resource with
 * another query already.
 *
 * Of another device the observation outlives its restarts and changes of address. While the device does not
 * answer, the callback comes once with OCF_E_NOT_REACHABLE and the last value that is known.
 */
int ocf_observe(struct ocf_client *c, const char *uri, ocf_answer_fn fn, void *userdata,
                struct ocf_observation **ret);
uint64_t ocf_observation_missed(const struct ocf_observation *o); /* changes that were not told, all in all */
struct ocf_observation *ocf_observation_free(struct ocf_observation *o); /* takes NULL; returns NULL */

/* ---- other devices on the network ---- */

enum ocf_ownership {
        OCF_OWNERSHIP_UNKNOWN,
        OCF_OWNED_BY_NOBODY,
        OCF_OWNED_BY_US, /* by the onboarding tool of this ocfd */
        OCF_OWNED_BY_ANOTHER,
};

/*
 * A device, as it was when it was told of; it does not change. It belongs to the library, until the callback
 * is over: a copy stays, belongs to the caller, and needs no client. text: a sentence about what went wrong,
 * else "".
 */
typedef void (*ocf_device_fn)(void *userdata, int result, const char *text, const struct ocf_device *device);

/*
 * Asks the network who is there, and listens for timeout_ms (1 to 60000; 7000 is enough for most). The
 * callback comes for each device, maybe more than once when more is known of it; and once more with device
 * NULL, which is the last: result 0, OCF_E_* or -ECANCELED.
 */
int ocf_discover(struct ocf_client *c, unsigned timeout_ms, ocf_device_fn fn, void *userdata);

/* The device that somebody means by a UUID, the beginning of one, or a name, among those that ocfd has heard
 * of: the callback comes exactly once, with device NULL where result is not 0. OCF_E_NOT_FOUND: ask the
 * network; OCF_E_INVALID_ARGUMENTS: several could be meant. */
int ocf_find_device(struct ocf_client *c, const char *name, ocf_device_fn fn, void *userdata);

/* The same, for simple programs: see ocf_retrieve_wait(). *ret is the caller's. fn is not called at the end.
 */
int ocf_discover_wait(struct ocf_client *c, unsigned timeout_ms, ocf_device_fn fn, void *userdata);
int ocf_find_device_wait(struct ocf_client *c, const char *name, struct ocf_device **ret);

int ocf_device_copy(struct ocf_device **ret, const struct ocf_device *d);
struct ocf_device *ocf_device_free(struct ocf_device *d); /* takes NULL; returns NULL */

/* "" where it is not known. The id is a UUID in lower case; the owner's is one, too. */
const char *ocf_device_id(const struct ocf_device *d);
const char *ocf_device_name(const struct ocf_device *d);
const char *ocf_device_owner(const struct ocf_device *d);
enum ocf_ownership ocf_device_ownership(const struct ocf_device *d);
bool ocf_device_is_reachable(const struct ocf_device *d); /* it answered when it was asked last */
bool ocf_device_has_type(const struct ocf_device *d, const char *type);
/* Arrays of strings, its own; NULL where they are not known. Endpoints: the preferred one first. */
const struct ocf_value *ocf_device_types(const struct ocf_device *d);
const struct ocf_value *ocf_device_endpoints(const struct ocf_device *d);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif

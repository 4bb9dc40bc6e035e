#include "daemon/tool.h"
#include "base/memory.h"
#include "daemon/daemon_private.h"
#include "daemon/diag.h"
#include "daemon/random.h"
#include "security/identity_key.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct tool {
        struct daemon *daemon;
        struct keyring *keyring;
        struct authority *authority;
        struct device *device;
        const char *problem;
        bool is_making;
        char domain[TOOL_DOMAIN_MAX + 1];
        store_done *done;
        void *context;
};

static struct device_identity describe(const struct store_device *stored,
                                       char name[static MODEL_NAME_MAX + 1]) {
        char host[MODEL_NAME_MAX - 16] = "";

        if (gethostname(host, sizeof(host)) < 0 || !host[0])
                strcpy(host, "ocfd");
        host[sizeof(host) - 1] = 0;
        snprintf(name, MODEL_NAME_MAX + 1, "%s-tool", host);
        return (struct device_identity){
                .di = stored->di,
                .piid = stored->piid,
                .name = name,
                .type = "oic.d.dots",
                .spec_version = "ocf.2.2.5",
                .data_model_version = "ocf.res.1.3.0,ocf.sh.1.3.0",
        };
}

/* The device, its sockets and its ports. */
static int open_device(struct tool *t, struct store_device *stored) {
        struct daemon *d = t->daemon;
        char name[MODEL_NAME_MAX + 1];
        struct device_identity identity = describe(stored, name);
        struct net_ports ports = { stored->port_coap, stored->port_coaps, stored->port_tcp,
                                   stored->port_coaps_tcp };
        int r = model_add_device(d->model, &identity, &t->device);

        if (r < 0)
                return r;
        r = net_open_device(d->net, t->device->index, &ports, &ports);
        if (r < 0)
                return r;
        stored->port_coap = ports.coap;
        stored->port_coaps = ports.coaps;
        stored->port_tcp = ports.coap_tcp;
        stored->port_coaps_tcp = ports.coaps_tcp;
        return 0;
}

/* ---- as the store has it ---- */

static int load(struct tool *t) {
        struct daemon *d = t->daemon;
        struct store_device stored;
        int r = keyring_load(&t->keyring, d->store);

        if (r == STORE_E_NONE || r < 0)
                return r < 0 ? r : 0;
        if (!r)
                r = store_get_device(d->store, STORE_TOOL, &stored);
        if (r == STORE_E_NONE)
                return 0; /* it was not finished: it is made anew */
        if (!r && !authority_load(&t->authority, keyring_authority(t->keyring)))
                r = STORE_E_DAMAGED;
        if (r > 0) {
                t->problem =
                        r == STORE_E_SEALED
                                ? "The store is sealed: \"ocfctl store check\" says why, and what to do"
                                : "What the store has of the onboarding tool is damaged: put a backup back "
                                  "(ocfctl store restore)";
                if (r != STORE_E_SEALED)
                        diag_log(LOG_ERR, "%s", t->problem);
                return 0;
        }
        if (r < 0)
                return r;
        authority_set_years(t->authority, (unsigned)d->config->certificate_years);
        r = open_device(t, &stored);
        return r < 0 ? r : secure_add_tool(d->secure, t->device);
}

int tool_new(struct tool **ret, struct daemon *d) {
        struct tool *t = ocf_new(struct tool);
        int r;

        if (!t)
                return -ENOMEM;
        t->daemon = d;
        r = load(t);
        if (r < 0) {
                tool_free(t);
                return r;
        }
        *ret = t;
        return 0;
}

struct tool *tool_free(struct tool *t) {
        if (!t)
                return NULL;
        authority_free(t->authority);
        keyring_free(t->keyring);
        return ocf_free(t);
}

/* ---- made ---- */

static void finish(struct tool *t, int outcome) {
        t->is_making = false;
        if (outcome)
                diag_log(LOG_ERR, "The onboarding tool could not be made: %s", strerror(-outcome));
        t->done(t->context, outcome);
}

static void on_certified(void *context, int outcome) {
        struct tool *t = context;
        char id[UUID_TEXT_MAX];

        if (!outcome)
                diag_log(LOG_NOTICE, "There is an onboarding tool now: %s", uuid_format(&t->device->di, id));
        finish(t, outcome);
}

/* It has a certificate of its own authority, for devices that want to see one. */
static void on_device_stored(void *context, int outcome) {
        uint8_t csr[IDENTITY_CSR_MAX], pem[AUTHORITY_PEM_MAX];
        struct writer request = writer_on(csr, sizeof(csr)), issued = writer_on(pem, sizeof(pem));
        struct tool *t = context;
        struct daemon *d = t->daemon;
        const char *problem;

        if (!outcome && !secure_own_csr(d->secure, t->device->index, &request))
                outcome = -ENOMEM;
        if (!outcome) {
                problem = authority_issue(t->authority, writer_span(&request), &t->device->di, NULL, 0,
                                          daemon_wall(d), &issued);
                if (problem) {
                        diag_log(LOG_ERR, "The onboarding tool has no certificate of its own: %s", problem);
                        outcome = -EINVAL;
                }
        }
        if (!outcome)
                outcome = secure_install_certificate(d->secure, t->device->index, writer_span(&issued),
                                                     authority_root(t->authority), on_certified, t);
        if (outcome)
                finish(t, outcome);
}

/* Its memory is durable; now the device itself. */
static void on_keyring_stored(void *context, int outcome) {
        struct tool *t = context;
        struct store_device stored = { 0 };

        if (!outcome && !t->device) {
                random_uuid(&stored.di);
                random_uuid(&stored.piid);
                outcome = open_device(t, &stored);
                if (!outcome)
                        outcome = secure_make_tool(t->daemon->secure, t->device, &stored,
                                                   span_of_string(t->domain), on_device_stored, t);
                if (!outcome) {
                        daemon_endpoints_changed(t->daemon);
                        return;
                }
        }
        finish(t, outcome);
}

int tool_make(struct tool *t, struct span domain_name, store_done *done, void *context,
              const char **ret_why) {
        uint8_t bytes[KEYRING_AUTHORITY_MAX];
        struct writer w = writer_on(bytes, sizeof(bytes));
        const char *why;
        int r;

        *ret_why = NULL;
        if (t->device || t->is_making)
                return -EALREADY;
        if (store_is_sealed(t->daemon->store, ret_why))
                return -EROFS;
        authority_free(t->authority);
        t->authority = NULL;
        why = authority_new(&t->authority, daemon_wall(t->daemon));
        if (why) {
                *ret_why = why;
                return -EINVAL;
        }
        authority_set_years(t->authority, (unsigned)t->daemon->config->certificate_years);
        if (!authority_save(t->authority, &w))
                return -ENOMEM;
        memcpy(t->domain, domain_name.data, ocf_min_u64(domain_name.n, TOOL_DOMAIN_MAX));
        t->domain[ocf_min_u64(domain_name.n, TOOL_DOMAIN_MAX)] = 0;
        t->done = done;
        t->context = context;
        t->is_making = true;
        r = keyring_make(t->keyring, writer_span(&w), on_keyring_stored, t);
        secret_wipe(bytes, sizeof(bytes));
        if (r)
                t->is_making = false;
        return r;
}

/* ---- asked ---- */

bool tool_exists(const struct tool *t) {
        return t->device && !t->is_making;
}

struct device *tool_device(const struct tool *t) {
        return tool_exists(t) ? t->device : NULL;
}

struct keyring *tool_keyring(struct tool *t) {
        return t->keyring;
}

struct authority *tool_authority(struct tool *t) {
        return tool_exists(t) ? t->authority : NULL;
}

const char *tool_problem(const struct tool *t) {
        return t->problem;
}

#include "security/obt_private.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What is done with a device that is ours: into RFPRO, what there is to write,
 * and back into RFNOP (services.md 1.4).
 */

static struct obt_step switch_to(unsigned target, enum svr_state state, const char *name) {
        return (struct obt_step){ .name = name,
                                  .type = OBT_WANT_REQUEST,
                                  .channel = OBT_OWNER,
                                  .target = target,
                                  .method = COAP_POST,
                                  .path = "/oic/sec/pstat",
                                  .is_switch = true,
                                  .state = state };
}

/* From here on, whatever happens, it is brought back. */
static void add_provisioning(struct obt_flow *f, unsigned target) {
        const struct obt_step go = switch_to(target, SVR_RFPRO, "provisioning"),
                              back = switch_to(target, SVR_RFNOP, "in use again");

        obt_add(f, &go);
        obt_undo_first(f, &back);
}

static void add_normal(struct obt_flow *f, unsigned target) {
        const struct obt_step go = switch_to(target, SVR_RFNOP, "ready");

        obt_add(f, &go);
}

static void add_post(struct obt_flow *f, unsigned target, const char *name, const char *path,
                     obt_write *write) {
        const struct obt_step step = { .name = name,
                                       .type = OBT_WANT_REQUEST,
                                       .channel = OBT_OWNER,
                                       .target = target,
                                       .method = COAP_POST,
                                       .path = path,
                                       .write = write };

        obt_add(f, &step);
}

static void add_delete(struct obt_flow *f, const char *name, const char *path, bool with_query) {
        const struct obt_step step = { .name = name,
                                       .type = OBT_WANT_REQUEST,
                                       .channel = OBT_OWNER,
                                       .method = COAP_DELETE,
                                       .path = path,
                                       .has_query = with_query };

        obt_add(f, &step);
}

/* ---- certificates ---- */

/* Each role has its own: of several in one the field reads the first alone (security.md 5.6). */
static const char *issue(struct obt_flow *f, struct span csr, struct writer *w) {
        const struct obt_config *c = &f->config;
        const char *problem = NULL;
        size_t i = 0;

        do {
                size_t before = w->n;

                problem = authority_issue(c->authority, csr, &f->ids[0], c->n_roles ? &c->roles[i] : NULL,
                                          c->n_roles > 0, c->wall_s, w);
                f->n_certificate[i] = w->n - before;
        } while (!problem && ++i < c->n_roles);
        return problem;
}

static bool read_csr(struct obt_flow *f, struct span payload) {
        uint8_t *pem;
        struct writer w;
        struct span item, csr;
        const char *problem = "the device's request for a certificate is none";

        if (!rep_map_find(payload, "csr", &item) || (!rep_as_text(item, &csr) && !rep_as_bytes(item, &csr))) {
                obt_problem(f, "No certificate: %s", problem);
                return false;
        }
        while (csr.n && !csr.data[csr.n - 1])
                csr.n--;
        pem = ocf_allocate(obt_n_certificates(f), AUTHORITY_PEM_MAX);
        if (!pem)
                return false;
        w = writer_on(pem, obt_n_certificates(f) * AUTHORITY_PEM_MAX);
        ocf_free(f->certificate);
        f->certificate = pem;
        problem = issue(f, csr, &w);
        if (!problem)
                return true;
        obt_problem(f, "No certificate: %s", problem);
        return false;
}

void obt_add_certificate(struct obt_flow *f, enum obt_channel channel) {
        const struct obt_step steps[] = {
                { .name = "certificate",
                  .path = "/oic/sec/cred",
                  .method = COAP_POST,
                  .write = obt_write_tool_anchor },
                { .name = "certificate", .path = "/oic/sec/csr", .method = COAP_GET, .read = read_csr },
                { .name = "certificate",
                  .path = "/oic/sec/cred",
                  .method = COAP_POST,
                  .write = obt_write_certificate },
                { .name = "certificate",
                  .path = "/oic/sec/acl2",
                  .method = COAP_POST,
                  .write = obt_write_roles_access },
        };

        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                struct obt_step step = steps[i];

                step.type = OBT_WANT_REQUEST;
                step.channel = channel;
                step.is_certificate = true;
                obt_add(f, &step);
        }
}

/* ---- pairs ---- */

/* The next credential of a list; false: there are no more. */
static bool next_cred(struct span *list, uint64_t *n_left, struct span *ret, int64_t *ret_credid) {
        struct span item;

        if (!*n_left || !rep_skip(list, ret))
                return false;
        --*n_left;
        *ret_credid = -1;
        if (rep_map_find(*ret, "credid", &item))
                (void)rep_as_int64(item, ret_credid);
        return true;
}

static bool begin_creds(struct span payload, struct span *ret, uint64_t *ret_n) {
        struct rep_token t;

        if (!rep_map_find(payload, "creds", ret) || !rep_next(ret, &t) || t.type != REP_ARRAY)
                return false;
        *ret_n = t.value.n;
        return true;
}

static bool is_key_for(struct span cred, const struct uuid *subject) {
        struct span item, text;
        struct uuid id;
        int64_t type;

        return rep_map_find(cred, "credtype", &item) && rep_as_int64(item, &type) && type == CRED_PSK &&
               rep_map_find(cred, "subjectuuid", &item) && rep_as_text(item, &text) &&
               uuid_parse(&id, text) && uuid_equal(&id, subject);
}

/* Which keys for the other one there are before: they are not ours to take back. */
static bool read_known(struct obt_flow *f, struct span payload) {
        unsigned target = f->steps[f->i_step].target;
        struct span list, one;
        uint64_t n;
        int64_t credid;

        f->n_known[target] = 0;
        if (!begin_creds(payload, &list, &n)) {
                obt_problem(f, "The device does not tell its credentials");
                return false;
        }
        while (next_cred(&list, &n, &one, &credid)) {
                if (!is_key_for(one, &f->ids[target ^ 1]))
                        continue;
                if (f->n_known[target] == SVR_CREDS_MAX) {
                        obt_problem(f, "The device has too many keys for the other one: remove some");
                        return false;
                }
                f->known[target][f->n_known[target]++] = credid;
        }
        return true;
}

static bool was_known(const struct obt_flow *f, unsigned target, int64_t credid) {
        for (size_t i = 0; i < f->n_known[target]; i++)
                if (f->known[target][i] == credid)
                        return true;
        return false;
}

/* The key for the other one that was not there before: what this flow gave it. */
static bool read_pair(struct obt_flow *f, struct span payload) {
        unsigned target = f->undo[f->i_undo].target;
        struct span list, one;
        uint64_t n;
        int64_t credid;

        f->query[0] = 0;
        if (!begin_creds(payload, &list, &n))
                return false;
        while (next_cred(&list, &n, &one, &credid))
                if (credid >= 0 && is_key_for(one, &f->ids[target ^ 1]) && !was_known(f, target, credid))
                        snprintf(f->query, sizeof(f->query), "credid=%lld", (long long)credid);
        return true;
}

static void add_known(struct obt_flow *f, unsigned target) {
        const struct obt_step step = { .name = "look",
                                       .type = OBT_WANT_REQUEST,
                                       .channel = OBT_OWNER,
                                       .target = target,
                                       .method = COAP_GET,
                                       .path = "/oic/sec/cred",
                                       .read = read_known };

        obt_add(f, &step);
}

static void add_pair_undo(struct obt_flow *f, unsigned target) {
        const struct obt_step again = switch_to(target, SVR_RFPRO, "taking back");
        struct obt_step look = { .name = "taking back",
                                 .type = OBT_WANT_REQUEST,
                                 .channel = OBT_OWNER,
                                 .target = target,
                                 .method = COAP_GET,
                                 .path = "/oic/sec/cred",
                                 .read = read_pair },
                        delete = look;

        delete.method = COAP_DELETE;
        delete.read = NULL;
        delete.has_query = true;
        obt_undo_first(f, &delete);
        obt_undo_first(f, &look);
        obt_undo_first(f, &again); /* it may be back in use already */
}

static bool plan_pair(struct obt_flow *f) {
        if (uuid_equal(&f->ids[0], &f->ids[1])) {
                obt_problem(f, "A device cannot be paired with itself");
                return false;
        }
        f->config.random(f->config.context, f->pair_key, sizeof(f->pair_key));
        add_known(f, 0);
        add_known(f, 1);
        add_provisioning(f, 0);
        add_provisioning(f, 1);
        add_pair_undo(f, 0);
        add_pair_undo(f, 1);
        add_post(f, 0, "key", "/oic/sec/cred", obt_write_pair);
        add_post(f, 1, "key", "/oic/sec/cred", obt_write_pair);
        add_normal(f, 0);
        add_normal(f, 1);
        return true;
}

/* ---- the others ---- */

static bool read_sct(struct obt_flow *f, struct span payload) {
        struct span item;
        int64_t sct = 0;

        if (rep_map_find(payload, "sct", &item))
                (void)rep_as_int64(item, &sct);
        f->can_certificate = sct & CRED_CERTIFICATE;
        if (!f->can_certificate)
                obt_problem(f, "The device knows no certificates");
        return f->can_certificate;
}

static void add_sct(struct obt_flow *f) {
        const struct obt_step step = { .name = "look",
                                       .type = OBT_WANT_REQUEST,
                                       .channel = OBT_OWNER,
                                       .method = COAP_GET,
                                       .path = "/oic/sec/doxm",
                                       .read = read_sct };

        obt_add(f, &step);
}

static bool plan_certificate(struct obt_flow *f) {
        if (!f->config.authority) {
                obt_problem(f, "There is no certificate authority");
                return false;
        }
        add_sct(f);
        add_provisioning(f, 0);
        obt_add_certificate(f, OBT_OWNER);
        add_normal(f, 0);
        return true;
}

static bool plan_reset(struct obt_flow *f) {
        const struct obt_step reset = switch_to(0, SVR_RESET, "reset"),
                              forget = { .name = "forget", .type = OBT_WANT_FORGET };

        f->has_key_stored = true;
        if (!f->config.forget)
                obt_add(f, &reset);
        obt_add(f, &forget);
        return true;
}

static bool plan_access(struct obt_flow *f) {
        struct writer w = writer_on(f->payload, OBT_PAYLOAD_MAX);

        if (!f->config.n_hrefs || !f->config.permission || f->config.permission > ACE_ALL) {
                obt_problem(f, "An access entry has hrefs or wildcards, and a permission");
                return false;
        }
        for (size_t i = 0; i < f->config.n_hrefs; i++)
                if (!f->hrefs[i].n || (f->hrefs[i].data[0] != '/' &&
                                       (f->hrefs[i].n != 1 || !strchr("*+-", f->hrefs[i].data[0])))) {
                        obt_problem(f, "An href begins with a slash, and a wildcard is *, + or -");
                        return false;
                }
        if (!obt_write_access(f, &w))
                return false;
        add_provisioning(f, 0);
        add_post(f, 0, "access", "/oic/sec/acl2", obt_write_access);
        add_normal(f, 0);
        return true;
}

static bool plan_cloud(struct obt_flow *f) {
        const struct obt_config *c = &f->config;
        struct uuid id;

        if (!c->cloud_href.n) {
                obt_problem(f, "The device has no resource of a cloud (oic.r.coapcloudconf)");
                return false;
        }
        if (c->cis.n && (!uuid_parse(&id, c->sid) || !c->at.n)) {
                obt_problem(f,
                            "A cloud has an address (cis), an id (sid), which is a UUID, and a token (at)");
                return false;
        }
        add_provisioning(f, 0);
        add_post(f, 0, "access", "/oic/sec/acl2", obt_write_cloud_access);
        add_normal(f, 0);
        add_post(f, 0, "cloud", (const char *)c->cloud_href.data, obt_write_cloud);
        return true;
}

static bool plan_anchor(struct obt_flow *f) {
        struct uuid id;

        if (!f->config.subject.n)
                f->config.subject = SPAN_LITERAL("*");
        if (!f->config.pem.n ||
            (!span_equal_string(f->config.subject, "*") && !uuid_parse(&id, f->config.subject))) {
                obt_problem(f, "A trust anchor is a certificate in PEM, and its subject a UUID or *");
                return false;
        }
        add_provisioning(f, 0);
        add_post(f, 0, "anchor", "/oic/sec/cred", obt_write_anchor);
        add_normal(f, 0);
        return true;
}

/* The device's one way back to its owner is not a credential among others. */
static bool read_not_ours(struct obt_flow *f, struct span payload) {
        struct span list, one;
        uint64_t n;
        int64_t credid;

        if (!begin_creds(payload, &list, &n)) {
                obt_problem(f, "The device does not tell its credentials");
                return false;
        }
        while (next_cred(&list, &n, &one, &credid))
                if (credid == f->config.number && is_key_for(one, &f->config.tool)) {
                        obt_problem(f,
                                    "This is the owner's key of this tool: without it nobody could reach the "
                                    "device; reset it to give it up");
                        return false;
                }
        return true;
}

static void plan_remove_credential(struct obt_flow *f) {
        const struct obt_step look = { .name = "look",
                                       .type = OBT_WANT_REQUEST,
                                       .channel = OBT_OWNER,
                                       .method = COAP_GET,
                                       .path = "/oic/sec/cred",
                                       .read = read_not_ours };

        snprintf(f->query, sizeof(f->query), "credid=%d", f->config.number);
        obt_add(f, &look);
        add_provisioning(f, 0);
        add_delete(f, "credential", "/oic/sec/cred", true);
        add_normal(f, 0);
}

/* SRESET does not lead to RFNOP; by way of RFPRO it does (security.md 2.2). */
static bool plan_state(struct obt_flow *f) {
        const struct obt_step state = switch_to(0, f->config.state, "state");

        switch (f->config.state) {
        case SVR_RFNOP:
                add_provisioning(f, 0);
                add_normal(f, 0);
                return true;
        case SVR_RFPRO:
        case SVR_SRESET:
                obt_add(f, &state);
                return true;
        case SVR_RESET:
        case SVR_RFOTM:
        case _SVR_STATE_N:
                break;
        }
        obt_problem(f, "The states are RFPRO, RFNOP and SRESET");
        return false;
}

bool obt_plan_provision(struct obt_flow *f) {
        switch (f->config.operation) {
        case OBT_OWN:
                break;
        case OBT_RESET:
                return plan_reset(f);
        case OBT_SET_STATE:
                return plan_state(f);
        case OBT_PAIR:
                return plan_pair(f);
        case OBT_ISSUE_IDENTITY:
        case OBT_ISSUE_ROLES:
                return plan_certificate(f);
        case OBT_ADD_ANCHOR:
                return plan_anchor(f);
        case OBT_ADD_ACCESS:
                return plan_access(f);
        case OBT_REMOVE_ACCESS:
                snprintf(f->query, sizeof(f->query), "aceid=%d", f->config.number);
                add_provisioning(f, 0);
                add_delete(f, "access", "/oic/sec/acl2", f->config.number);
                if (!f->config.number)
                        add_post(f, 0, "access", "/oic/sec/acl2", obt_write_default_access);
                add_normal(f, 0);
                return true;
        case OBT_REMOVE_CREDENTIAL:
                plan_remove_credential(f);
                return true;
        case OBT_CONFIGURE_CLOUD:
                return plan_cloud(f);
        case OBT_SET_DOMAIN:
                add_provisioning(f, 0);
                add_post(f, 0, "domain", "/oic/sec/sdi", obt_write_sdi);
                add_normal(f, 0);
                return true;
        }
        return false;
}

#include "security/obt_private.h"

#include <string.h>

/*
 * What is posted, as the field's other tools post it (services.md 1.3 to 1.5;
 * wire-traces.md has the bytes).
 */

static void put_uuid(struct writer *w, const char *key, const struct uuid *id) {
        char text[UUID_TEXT_MAX];

        rep_put_string(w, key);
        rep_put_string(w, uuid_format(id, text));
}

static bool one_uuid(struct writer *w, const char *key, const struct uuid *id) {
        rep_put_map(w, 1);
        put_uuid(w, key, id);
        return true;
}

bool obt_write_state(struct obt_flow *f, enum svr_state state, struct writer *w) {
        rep_put_map(w, 1);
        rep_put_string(w, "dos");
        rep_put_map(w, 1);
        rep_put_string(w, "s");
        rep_put_uint(w, state);
        return true;
}

/* ---- an ownership transfer ---- */

bool obt_write_method(struct obt_flow *f, struct writer *w) {
        rep_put_map(w, 1);
        rep_put_string(w, "oxmsel");
        rep_put_uint(w, f->method);
        return true;
}

bool obt_write_om(struct obt_flow *f, struct writer *w) {
        rep_put_map(w, 1);
        rep_put_string(w, "om");
        rep_put_uint(w, 4); /* client-directed */
        return true;
}

bool obt_write_owner(struct obt_flow *f, struct writer *w) {
        return one_uuid(w, "devowneruuid", &f->config.tool);
}

bool obt_write_id(struct obt_flow *f, struct writer *w) {
        return one_uuid(w, "deviceuuid", &f->ids[1]); /* the one that it is about to have */
}

bool obt_write_rowner(struct obt_flow *f, struct writer *w) {
        return one_uuid(w, "rowneruuid", &f->config.tool);
}

/* A key without bytes: derive it from this session, as we have (services.md 1.3, step j). */
bool obt_write_owner_cred(struct obt_flow *f, struct writer *w) {
        rep_put_map(w, 2);
        put_uuid(w, "rowneruuid", &f->config.tool);
        rep_put_string(w, "creds");
        rep_put_array(w, 1);
        rep_put_map(w, 3);
        rep_put_string(w, "credtype");
        rep_put_uint(w, CRED_PSK);
        put_uuid(w, "subjectuuid", &f->config.tool);
        rep_put_string(w, "privatedata");
        rep_put_map(w, 2);
        rep_put_string(w, "encoding");
        rep_put_string(w, "oic.sec.encoding.raw");
        rep_put_string(w, "data");
        rep_put_bytes(w, SPAN_LITERAL(""));
        return true;
}

bool obt_write_sdi(struct obt_flow *f, struct writer *w) {
        bool with_id = f->config.operation == OBT_OWN;

        rep_put_map(w, with_id ? 3 : 2);
        if (with_id)
                put_uuid(w, "uuid", &f->config.domain);
        rep_put_string(w, "name");
        rep_put_text(w, f->config.domain_name);
        rep_put_string(w, "priv");
        rep_put_bool(w, f->config.domain_private);
        return true;
}

bool obt_write_owned(struct obt_flow *f, struct writer *w) {
        rep_put_map(w, 1);
        rep_put_string(w, "owned");
        rep_put_bool(w, true);
        return true;
}

/* ---- access entries ---- */

static void begin_entries(struct writer *w, uint64_t n) {
        rep_put_map(w, 1);
        rep_put_string(w, "aclist2");
        rep_put_array(w, n);
}

static void put_connection(struct writer *w, const char *type) {
        rep_put_string(w, "subject");
        rep_put_map(w, 1);
        rep_put_string(w, "conntype");
        rep_put_string(w, type);
}

static void put_subject_uuid(struct writer *w, const struct uuid *id) {
        rep_put_string(w, "subject");
        rep_put_map(w, 1);
        put_uuid(w, "uuid", id);
}

static void put_permission(struct writer *w, uint8_t permission) {
        rep_put_string(w, "permission");
        rep_put_uint(w, permission);
}

static void put_resources(struct writer *w, const char *const *hrefs, size_t n) {
        rep_put_string(w, "resources");
        rep_put_array(w, n);
        for (size_t i = 0; i < n; i++) {
                rep_put_map(w, 1);
                rep_put_string(w, hrefs[i][0] == '/' ? "href" : "wc");
                rep_put_string(w, hrefs[i]);
        }
}

/* What the tool needs to go on, what discovery needs, and for the tool's own use every resource. */
bool obt_write_default_access(struct obt_flow *f, struct writer *w) {
        static const char *const sp[] = { "/oic/sec/sp", "/oic/sec/sdi" }, *const csr[] = { "/oic/sec/csr" };
        static const char *const open[] = { "/oic/d", "/oic/p", "/oic/res", "/oic/sec/sdi" };
        static const char *const all[] = { "*", "/oic/mnt" };

        begin_entries(w, 4);
        rep_put_map(w, 3);
        put_subject_uuid(w, &f->config.tool);
        put_permission(w, ACE_RETRIEVE | ACE_UPDATE | ACE_DELETE);
        put_resources(w, sp, ARRAY_SIZE(sp));
        rep_put_map(w, 3);
        put_subject_uuid(w, &f->config.tool);
        put_permission(w, ACE_RETRIEVE);
        put_resources(w, csr, ARRAY_SIZE(csr));
        rep_put_map(w, 3);
        put_subject_uuid(w, &f->config.tool);
        put_permission(w, ACE_ALL);
        put_resources(w, all, ARRAY_SIZE(all));
        rep_put_map(w, 3);
        put_connection(w, "anon-clear");
        put_permission(w, ACE_RETRIEVE);
        put_resources(w, open, ARRAY_SIZE(open));
        return true;
}

/* Whoever comes with a certificate may show its roles. */
bool obt_write_roles_access(struct obt_flow *f, struct writer *w) {
        static const char *const roles[] = { "/oic/sec/roles" };

        begin_entries(w, 1);
        rep_put_map(w, 3);
        put_connection(w, "auth-crypt");
        put_permission(w, ACE_RETRIEVE | ACE_UPDATE);
        put_resources(w, roles, ARRAY_SIZE(roles));
        return true;
}

static bool put_subject(struct obt_flow *f, struct writer *w) {
        struct span s = f->config.subject, prefix, role;
        const uint8_t *at;
        struct uuid id;

        if (span_equal_string(s, "anon-clear") || span_equal_string(s, "auth-crypt")) {
                rep_put_string(w, "subject");
                rep_put_map(w, 1);
                rep_put_string(w, "conntype");
                rep_put_text(w, s);
                return true;
        }
        if (uuid_parse(&id, s)) {
                put_subject_uuid(w, &id);
                return true;
        }
        if (!span_take(&s, 5, &prefix) || !span_equal_string(prefix, "role:") || !s.n) {
                obt_problem(f,
                            "A subject is anon-clear, auth-crypt, a UUID, role:NAME or role:NAME@AUTHORITY");
                return false;
        }
        at = memchr(s.data, '@', s.n);
        role = at ? span_of(s.data, (size_t)(at - s.data)) : s;
        rep_put_string(w, "subject");
        rep_put_map(w, at ? 2 : 1);
        rep_put_string(w, "role");
        rep_put_text(w, role);
        if (at) {
                rep_put_string(w, "authority");
                rep_put_text(w, span_of(at + 1, s.n - role.n - 1));
        }
        return true;
}

bool obt_write_access(struct obt_flow *f, struct writer *w) {
        begin_entries(w, 1);
        rep_put_map(w, 3);
        if (!put_subject(f, w))
                return false;
        put_permission(w, f->config.permission);
        rep_put_string(w, "resources");
        rep_put_array(w, f->config.n_hrefs);
        for (size_t i = 0; i < f->config.n_hrefs; i++) {
                rep_put_map(w, 1);
                rep_put_string(w, f->hrefs[i].n && f->hrefs[i].data[0] == '/' ? "href" : "wc");
                rep_put_text(w, f->hrefs[i]);
        }
        return true;
}

/* ---- credentials ---- */

static void begin_creds(struct writer *w, uint64_t n) {
        rep_put_map(w, 1);
        rep_put_string(w, "creds");
        rep_put_array(w, n);
}

static void begin_cred(struct writer *w, uint64_t n_pairs, enum cred_type type) {
        rep_put_map(w, n_pairs);
        rep_put_string(w, "credtype");
        rep_put_uint(w, type);
}

bool obt_write_pair(struct obt_flow *f, struct writer *w) {
        unsigned other = f->steps[f->i_step].target ^ 1;

        begin_creds(w, 1);
        begin_cred(w, 3, CRED_PSK);
        put_uuid(w, "subjectuuid", &f->ids[other]);
        rep_put_string(w, "privatedata");
        rep_put_map(w, 2);
        rep_put_string(w, "encoding");
        rep_put_string(w, "oic.sec.encoding.raw");
        rep_put_string(w, "data");
        rep_put_bytes(w, span_of(f->pair_key, sizeof(f->pair_key)));
        return true;
}

static bool put_certificate(struct writer *w, struct span subject, enum cred_usage usage, struct span pem) {
        begin_cred(w, 4, CRED_CERTIFICATE);
        rep_put_string(w, "subjectuuid");
        rep_put_text(w, subject);
        rep_put_string(w, "credusage");
        rep_put_string(w, cred_usage_name(usage));
        rep_put_string(w, "publicdata");
        rep_put_map(w, 2);
        rep_put_string(w, "encoding");
        rep_put_string(w, "oic.sec.encoding.pem");
        rep_put_string(w, "data");
        rep_put_text(w, pem);
        return true;
}

bool obt_write_anchor(struct obt_flow *f, struct writer *w) {
        begin_creds(w, 1);
        return put_certificate(w, f->config.subject, f->config.manufacturer ? CRED_MFGTRUSTCA : CRED_TRUSTCA,
                               f->config.pem);
}

bool obt_write_tool_anchor(struct obt_flow *f, struct writer *w) {
        begin_creds(w, 1);
        return put_certificate(w, SPAN_LITERAL("*"), CRED_TRUSTCA, authority_root(f->config.authority));
}

bool obt_write_certificate(struct obt_flow *f, struct writer *w) {
        const size_t n = obt_n_certificates(f);
        const uint8_t *at = f->certificate;

        begin_creds(w, n);
        for (size_t i = 0; i < n; i++) {
                put_certificate(w, SPAN_LITERAL("*"), f->config.n_roles ? CRED_ROLECERT : CRED_CERT,
                                span_of(at, f->n_certificate[i]));
                at += f->n_certificate[i];
        }
        return true;
}

/* ---- the cloud ---- */

/* No wildcard fits what configures a device (services.md 1.5). */
bool obt_write_cloud_access(struct obt_flow *f, struct writer *w) {
        const char *const href = (const char *)f->config.cloud_href.data; /* ends with a NUL: it was kept */
        static const char *const all[] = { "*" };
        struct uuid cloud;
        bool with_cloud = f->config.cis.n && uuid_parse(&cloud, f->config.sid);

        begin_entries(w, with_cloud ? 2 : 1);
        rep_put_map(w, 3);
        put_subject_uuid(w, &f->config.tool);
        put_permission(w, ACE_ALL);
        put_resources(w, &href, 1);
        if (!with_cloud)
                return true;
        rep_put_map(w, 3);
        put_subject_uuid(w, &cloud);
        put_permission(w, ACE_ALL);
        put_resources(w, all, ARRAY_SIZE(all));
        return true;
}

bool obt_write_cloud(struct obt_flow *f, struct writer *w) {
        const struct obt_config *c = &f->config;

        rep_put_map(w, c->cis.n ? 4 : 1);
        rep_put_string(w, "cis");
        rep_put_text(w, c->cis);
        if (!c->cis.n)
                return true;
        rep_put_string(w, "sid");
        rep_put_text(w, c->sid);
        rep_put_string(w, "apn");
        rep_put_text(w, c->apn);
        rep_put_string(w, "at");
        rep_put_text(w, c->at);
        return true;
}

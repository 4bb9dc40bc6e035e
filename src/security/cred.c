#include "security/cred.h"
#include "base/memory.h"
#include "security/svr_field.h"

#include <errno.h>
#include <string.h>

static const char *const usage_names[_CRED_USAGE_N] = {
        [CRED_USAGE_NONE] = "",
        [CRED_TRUSTCA] = "oic.sec.cred.trustca",
        [CRED_CERT] = "oic.sec.cred.cert",
        [CRED_ROLECERT] = "oic.sec.cred.rolecert",
        [CRED_MFGTRUSTCA] = "oic.sec.cred.mfgtrustca",
        [CRED_MFGCERT] = "oic.sec.cred.mfgcert",
};

#define ENCODING_RAW "oic.sec.encoding.raw"
#define ENCODING_PEM "oic.sec.encoding.pem"

void secret_wipe(void *data, size_t n) {
        if (n)
                explicit_bzero(data, n);
}

const char *cred_usage_name(enum cred_usage usage) {
        return usage_names[usage];
}

#define N_SPANS 8

static void spans_of(struct cred *c, struct span *ret[static N_SPANS]) {
        struct span *const spans[N_SPANS] = { &c->secret, &c->public_data, &c->role,        &c->authority,
                                              &c->period, &c->senderid,    &c->recipientid, &c->desc };

        memcpy(ret, spans, sizeof(spans));
}

static size_t n_bytes(const struct cred *c) {
        return c->secret.n + c->public_data.n + c->role.n + c->authority.n + c->period.n + c->senderid.n +
               c->recipientid.n + c->desc.n;
}

int cred_new(struct cred **ret, const struct cred *view) {
        struct cred *c = ocf_allocate(1, sizeof(*c) + n_bytes(view));
        struct span *spans[N_SPANS];
        uint8_t *p;

        if (!c)
                return -ENOMEM;
        memcpy(c, view, sizeof(*c));
        p = c->bytes;
        spans_of(c, spans);
        for (size_t i = 0; i < N_SPANS; i++) {
                if (!spans[i]->data)
                        continue;
                if (spans[i]->n)
                        memcpy(p, spans[i]->data, spans[i]->n);
                spans[i]->data = p;
                p += spans[i]->n;
        }
        *ret = c;
        return 0;
}

struct cred *cred_free(struct cred *c) {
        if (c)
                secret_wipe(c->bytes, n_bytes(c));
        return ocf_free(c);
}

static void put_data(struct writer *w, const char *name, const char *encoding, struct span data, bool bytes) {
        rep_put_string(w, name);
        rep_put_map(w, 2);
        rep_put_string(w, "data");
        if (bytes)
                rep_put_bytes(w, data);
        else
                rep_put_text(w, data);
        rep_put_string(w, "encoding");
        rep_put_string(w, encoding);
}

static uint64_t put_text(struct writer *w, const char *name, struct span text) {
        if (!text.data)
                return 0;
        rep_put_string(w, name);
        rep_put_text(w, text);
        return 1;
}

static void put_role(struct writer *w, const struct cred *c) {
        size_t begun;
        uint64_t n;

        rep_put_string(w, "roleid");
        begun = rep_begin_map(w);
        n = put_text(w, "role", c->role);
        n += put_text(w, "authority", c->authority);
        rep_end_map(w, begun, n);
}

static void put_oscore(struct writer *w, const struct cred *c) {
        size_t begun;
        uint64_t n;

        rep_put_string(w, "oscore");
        begun = rep_begin_map(w);
        n = put_text(w, "senderid", c->senderid);
        n += put_text(w, "recipientid", c->recipientid);
        n += put_text(w, "desc", c->desc);
        rep_end_map(w, begun, n);
}

/* Anchors show an empty text where keys show empty bytes, as in wire-traces.md 5.3. */
static uint64_t put_private(struct writer *w, const struct cred *c, enum cred_source whom) {
        struct span empty = SPAN_LITERAL("");

        if (whom == CRED_FROM_STORE && !c->secret.data)
                return 0;
        put_data(w, "privatedata", ENCODING_RAW, whom == CRED_FROM_STORE ? c->secret : empty,
                 cred_has_key(c));
        return 1;
}

void cred_put(struct writer *w, const struct cred *c, enum cred_source whom) {
        size_t begun = rep_begin_map(w);
        uint64_t n = 3;

        rep_put_string(w, "credid");
        rep_put_int(w, c->id);
        rep_put_string(w, "credtype");
        rep_put_uint(w, c->type);
        rep_put_string(w, "subjectuuid");
        if (c->any_subject)
                rep_put_string(w, "*");
        else
                svr_put_uuid(w, &c->subject);
        n += put_private(w, c, whom);
        if (c->usage) {
                n += put_text(w, "credusage", span_of_string(usage_names[c->usage]));
                put_data(w, "publicdata", ENCODING_PEM, c->public_data, false);
                n++;
        }
        if (c->role.data) {
                put_role(w, c);
                n++;
        }
        n += put_text(w, "period", c->period);
        if (c->senderid.data || c->recipientid.data) {
                put_oscore(w, c);
                n++;
        }
        if (c->own_key && whom == CRED_FROM_STORE) {
                rep_put_string(w, "own_key");
                rep_put_bool(w, true);
                n++;
        }
        rep_end_map(w, begun, n);
}

size_t cred_size(const struct cred *c) {
        return 256 + n_bytes(c); /* names, ids and heads of an entry take less */
}

bool cred_says_the_same(const struct cred *a, const struct cred *b) {
        struct cred left = *a, right = *b;
        struct span *of_left[N_SPANS], *of_right[N_SPANS];

        if (a->type != b->type || a->usage != b->usage || a->any_subject != b->any_subject ||
            !uuid_equal(&a->subject, &b->subject) || a->derive || b->derive)
                return false;
        spans_of(&left, of_left);
        spans_of(&right, of_right);
        for (size_t i = 0; i < N_SPANS; i++)
                if (!span_equal(*of_left[i], *of_right[i]) || !of_left[i]->data != !of_right[i]->data)
                        return false;
        return true;
}

bool cred_is_about(const struct cred *c, const struct uuid *subject) {
        return !c->any_subject && !uuid_is_nil(subject) && uuid_equal(&c->subject, subject);
}

bool cred_has_key(const struct cred *c) {
        return c->type != CRED_CERTIFICATE || c->own_key || c->secret.n;
}

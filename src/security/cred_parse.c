#include "security/cred.h"
#include "base/utf8.h"
#include "security/svr_field.h"

#define ENCODING_RAW    "oic.sec.encoding.raw"
#define ENCODING_BASE64 "oic.sec.encoding.base64"
#define ENCODING_PEM    "oic.sec.encoding.pem"

enum key {
        KEY_CREDID,
        KEY_CREDTYPE,
        KEY_SUBJECT,
        KEY_USAGE,
        KEY_PRIVATE,
        KEY_PUBLIC,
        KEY_OPTIONAL,
        KEY_ROLEID,
        KEY_PERIOD,
        KEY_CRMS,
        KEY_OSCORE,
        KEY_OWNER_CRED, /* the reference's own, as the next: never taken from the wire */
        KEY_TAG,
        KEY_OWN_KEY, /* ours, in the store */
        _KEY_N,
};

static const struct svr_property keys[_KEY_N] = {
        [KEY_CREDID] = { .name = "credid" },
        [KEY_CREDTYPE] = { .name = "credtype" },
        [KEY_SUBJECT] = { .name = "subjectuuid" },
        [KEY_USAGE] = { .name = "credusage" },
        [KEY_PRIVATE] = { .name = "privatedata" },
        [KEY_PUBLIC] = { .name = "publicdata" },
        [KEY_OPTIONAL] = { .name = "optionaldata" },
        [KEY_ROLEID] = { .name = "roleid" },
        [KEY_PERIOD] = { .name = "period" },
        [KEY_CRMS] = { .name = "crms" },
        [KEY_OSCORE] = { .name = "oscore" },
        [KEY_OWNER_CRED] = { .name = "owner_cred" },
        [KEY_TAG] = { .name = "tag" },
        [KEY_OWN_KEY] = { .name = "own_key" },
};

/* What came, besides what the entry keeps of it. */
struct parse {
        enum cred_source source;
        bool has_type, has_subject, has_private, has_private_data, has_public, has_oscore;
        struct span private_encoding, private_data, public_encoding;
        uint8_t *scratch;
};

/* {encoding, data}; handles point into a key store of which we know nothing. */
static bool take_data(struct span item, struct span *ret_encoding, struct span *ret_data,
                      bool *ret_has_data) {
        struct span pairs, key, value;
        uint64_t n;

        if (!rep_map_begin(item, &pairs, &n))
                return false;
        while (rep_map_next(&pairs, &key, &value)) {
                if (key.data && span_equal_string(key, "encoding")) {
                        if (!svr_as_text(value, CRED_TEXT_MAX, ret_encoding))
                                return false;
                } else if (key.data && span_equal_string(key, "data")) {
                        if (!svr_as_data(value, CRED_PUBLIC_MAX, ret_data))
                                return false;
                        *ret_has_data = true;
                } else {
                        return false;
                }
        }
        return true;
}

static const char *take_role(struct cred *c, struct span item) {
        struct span pairs, key, value;
        uint64_t n;

        if (!rep_map_begin(item, &pairs, &n))
                return "roleid is no map";
        while (rep_map_next(&pairs, &key, &value)) {
                struct span *to = !key.data                             ? NULL
                                  : span_equal_string(key, "role")      ? &c->role
                                  : span_equal_string(key, "authority") ? &c->authority
                                                                        : NULL;

                if (!to || !svr_as_text(value, CRED_TEXT_MAX, to))
                        return "roleid holds role and authority, both text";
        }
        return c->role.n ? NULL : "roleid without a role";
}

static bool is_oscore_id(struct span text) {
        for (size_t i = 0; i < text.n; i++) {
                uint8_t d = text.data[i];

                if (!(d >= '0' && d <= '9') && !(d >= 'a' && d <= 'f') && !(d >= 'A' && d <= 'F'))
                        return false;
        }
        return text.n == OSCORE_ID_TEXT;
}

static const char *take_oscore(struct cred *c, struct span item) {
        struct span pairs, key, value;
        uint64_t n;

        if (!rep_map_begin(item, &pairs, &n))
                return "oscore is no map";
        while (rep_map_next(&pairs, &key, &value)) {
                struct span *to = !key.data                               ? NULL
                                  : span_equal_string(key, "senderid")    ? &c->senderid
                                  : span_equal_string(key, "recipientid") ? &c->recipientid
                                  : span_equal_string(key, "desc")        ? &c->desc
                                                                          : NULL;

                if (!to || !svr_as_text(value, CRED_TEXT_MAX, to))
                        return "oscore holds senderid, recipientid and desc, all text";
                if (to != &c->desc && !is_oscore_id(*to))
                        return "an OSCORE id is 14 hexadecimal digits";
        }
        return NULL;
}

static const char *take_subject(struct cred *c, struct span item) {
        struct span text;

        if (rep_as_text(item, &text) && span_equal_string(text, "*")) {
                c->any_subject = true;
                return NULL;
        }
        if (!svr_as_uuid(item, &c->subject) || uuid_is_nil(&c->subject))
                return "subjectuuid is no UUID";
        return NULL;
}

static const char *take_usage(struct cred *c, struct span item) {
        struct span text;

        if (!rep_as_text(item, &text))
                return "credusage is no text";
        for (enum cred_usage u = CRED_TRUSTCA; u < _CRED_USAGE_N; u++)
                if (span_equal_string(text, cred_usage_name(u))) {
                        c->usage = u;
                        return NULL;
                }
        return "a credusage that is not known";
}

static const char *take_type(struct cred *c, struct span item) {
        uint64_t v;

        if (!svr_as_uint(item, 511, &v))
                return "credtype is no number";
        if (v != CRED_PSK && v != CRED_CERTIFICATE && v != CRED_OSCORE_PAIR && v != CRED_OSCORE_SENDER &&
            v != CRED_OSCORE_RECEIVER)
                return "a credtype that is not supported";
        c->type = (enum cred_type)v;
        return NULL;
}

static const char *take(struct cred *c, struct parse *p, enum key key, struct span value) {
        uint64_t v;
        bool has = false;

        switch (key) {
        case KEY_CREDID:
                if (!svr_as_uint(value, CRED_ID_MAX, &v))
                        return "credid is out of range";
                c->id = (int32_t)v;
                return NULL;
        case KEY_CREDTYPE:
                p->has_type = true;
                return take_type(c, value);
        case KEY_SUBJECT:
                p->has_subject = true;
                return take_subject(c, value);
        case KEY_USAGE:
                return take_usage(c, value);
        case KEY_PRIVATE:
                p->has_private = true;
                return take_data(value, &p->private_encoding, &p->private_data, &p->has_private_data)
                               ? NULL
                               : "privatedata holds encoding and data";
        case KEY_PUBLIC:
                return take_data(value, &p->public_encoding, &c->public_data, &p->has_public)
                               ? NULL
                               : "publicdata holds encoding and data";
        case KEY_ROLEID:
                return take_role(c, value);
        case KEY_PERIOD:
                return svr_as_text(value, CRED_TEXT_MAX, &c->period) ? NULL : "period is no text";
        case KEY_OSCORE:
                p->has_oscore = true;
                return take_oscore(c, value);
        case KEY_OPTIONAL: /* hints that are not used */
        case KEY_CRMS:
        case KEY_TAG:
        case KEY_OWNER_CRED:
                return NULL;
        case KEY_OWN_KEY:
                if (p->source != CRED_FROM_STORE || !rep_as_bool(value, &has))
                        return "a property that is not known";
                c->own_key = has;
                return NULL;
        case _KEY_N:
                break;
        }
        return "a property that is not known";
}

/* A key of 16 or 32 bytes, raw or in base64, as bytes or as what claims to be text (security.md 1.5). */
static const char *check_key(struct cred *c, const struct parse *p, size_t n_least) {
        size_t n;

        if (!p->has_private || !p->has_private_data)
                return "a key needs privatedata";
        c->secret = p->private_data;
        if (!c->secret.n)
                return NULL;
        if (span_equal_string(p->private_encoding, ENCODING_BASE64)) {
                if (c->secret.n > CRED_SCRATCH_MAX ||
                    !svr_base64_decode(c->secret, p->scratch, CRED_SCRATCH_MAX, &n))
                        return "privatedata is not base64";
                c->secret = span_of(p->scratch, n);
        } else if (!span_equal_string(p->private_encoding, ENCODING_RAW)) {
                return "an encoding that is not supported";
        }
        if (c->secret.n != 32 && c->secret.n != n_least)
                return "a key has 16 or 32 bytes, that of OSCORE 32";
        return NULL;
}

static const char *check_psk(struct cred *c, const struct parse *p) {
        const char *problem = check_key(c, p, 16);

        if (problem)
                return problem;
        c->derive = !c->secret.n;
        if (c->any_subject)
                return "a key belongs to one subject";
        return c->public_data.data || c->usage || p->has_oscore ? "a PSK has privatedata alone" : NULL;
}

static const char *check_certificate(struct cred *c, const struct parse *p) {
        if (!c->usage)
                return "a certificate needs a credusage";
        if (!p->has_public || !c->public_data.n || !span_equal_string(p->public_encoding, ENCODING_PEM))
                return "a certificate needs publicdata in PEM";
        if (!utf8_is_valid(c->public_data, UTF8_ANY))
                return "PEM is text";
        if (p->has_oscore || c->role.data)
                return "roleid and oscore are for keys";
        if (c->usage == CRED_MFGCERT && p->source != CRED_FROM_STORE)
                return "the manufacturer's certificate is not for peers to write";
        c->secret = p->private_data;
        /* Clients send back what they read: an empty one is none. */
        if (c->secret.n && (c->usage != CRED_MFGCERT || p->source != CRED_FROM_STORE))
                return "private keys of certificates are made here and never written";
        return NULL;
}

static const char *check_oscore(struct cred *c, const struct parse *p) {
        bool sends = c->type != CRED_OSCORE_RECEIVER, receives = c->type != CRED_OSCORE_SENDER;
        const char *problem = check_key(c, p, 32);

        if (problem)
                return problem;
        if (!c->secret.n || !p->has_oscore)
                return "OSCORE needs a key of 32 bytes and its ids";
        if (!!c->senderid.data != sends || !!c->recipientid.data != receives)
                return "the OSCORE ids do not fit the credtype";
        if (c->desc.data && c->type == CRED_OSCORE_PAIR)
                return "desc is for groups";
        return c->any_subject || c->public_data.data || c->usage || c->role.data
                       ? "an OSCORE context has a key and ids alone"
                       : NULL;
}

const char *cred_parse(struct cred *ret, struct span item, enum cred_source source,
                       uint8_t scratch[static CRED_SCRATCH_MAX]) {
        struct cred c = { .id = CRED_ID_NONE };
        struct parse p = { .source = source, .scratch = scratch };
        struct span pairs, key, value;
        const char *problem = NULL;
        uint64_t n;

        if (!rep_map_begin(item, &pairs, &n))
                return "a credential is no map";
        while (!problem && rep_map_next(&pairs, &key, &value)) {
                int i = svr_property_find(keys, _KEY_N, key);

                problem = i < 0 ? "a property that is not known" : take(&c, &p, (enum key)i, value);
        }
        if (problem)
                return problem;
        if (!p.has_type)
                return "credtype is missing";
        if (!p.has_subject) {
                if (c.usage != CRED_ROLECERT)
                        return "subjectuuid is missing";
                c.any_subject = true;
        }
        problem = c.type == CRED_PSK           ? check_psk(&c, &p)
                  : c.type == CRED_CERTIFICATE ? check_certificate(&c, &p)
                                               : check_oscore(&c, &p);
        if (!problem)
                *ret = c;
        return problem;
}

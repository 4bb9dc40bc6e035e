#include "security/obt_private.h"

#include <string.h>

/*
 * Taking ownership, step by step (services.md 1.3). The key is stored before the
 * device is told that it is owned: whatever happens then, one of the two is so.
 */

static bool get_uuid(struct span map, const char *key, struct uuid *ret) {
        struct span item, text;

        if (!rep_map_find(map, key, &item) || !rep_as_text(item, &text))
                return false;
        if (text.n && !text.data[text.n - 1])
                text.n--;
        return uuid_parse(ret, text);
}

static unsigned transfers_of(struct span doxm) {
        struct rep_token t;
        struct span list;
        unsigned bits = 0;

        if (!rep_map_find(doxm, "oxms", &list) || !rep_next(&list, &t) || t.type != REP_ARRAY)
                return 0;
        for (uint64_t i = 0; i < t.value.n && i < 16; i++) {
                struct span one;
                int64_t n;

                if (!rep_skip(&list, &one))
                        break;
                if (rep_as_int64(one, &n) && n >= 0 && n < 3)
                        bits |= 1u << n;
        }
        return bits;
}

static bool read_doxm(struct obt_flow *f, struct span payload) {
        struct span item;
        struct uuid id;
        int64_t sct = 0;
        unsigned bits = transfers_of(payload);
        bool owned = true;

        if (!get_uuid(payload, "deviceuuid", &id) || !uuid_equal(&id, &f->ids[0])) {
                obt_problem(f, "Another device answers at that address now: discover again");
                return false;
        }
        if (!rep_map_find(payload, "owned", &item) || !rep_as_bool(item, &owned) || owned) {
                obt_problem(f, "%s", OBT_HAS_OWNER);
                return false;
        }
        if (rep_map_find(payload, "sct", &item))
                (void)rep_as_int64(item, &sct);
        f->can_certificate = f->config.with_certificate && f->config.authority && sct & CRED_CERTIFICATE;
        for (size_t i = 0; i < f->config.n_methods; i++)
                if (bits >> f->config.methods[i] & 1) {
                        f->method = f->config.methods[i];
                        return true;
                }
        obt_problem(f, "The device offers none of the ways in which it could be owned from here");
        return false;
}

/* The same id until it is told: from the next step on it is called by the new one. */
static bool read_renamed(struct obt_flow *f, struct span payload) {
        f->was = f->ids[0];
        f->ids[0] = f->ids[1];
        f->renamed = true;
        return true;
}

#define CLEAR_GET(n, p, r)                                                                                   \
        {                                                                                                    \
                .name = n, .type = OBT_WANT_REQUEST, .channel = OBT_CLEAR, .method = COAP_GET, .path = p,    \
                .read = r                                                                                    \
        }
#define POST(c, n, p, w)                                                                                     \
        { .name = n, .type = OBT_WANT_REQUEST, .channel = c, .method = COAP_POST, .path = p, .write = w }

static void add_access(struct obt_flow *f, enum obt_channel channel) {
        const struct obt_step steps[] = {
                { .name = "access",
                  .type = OBT_WANT_REQUEST,
                  .channel = channel,
                  .method = COAP_DELETE,
                  .path = "/oic/sec/acl2" },
                POST(channel, "access", "/oic/sec/acl2", obt_write_default_access),
        };
        const struct obt_step ready = { .name = "ready",
                                        .type = OBT_WANT_REQUEST,
                                        .channel = channel,
                                        .method = COAP_POST,
                                        .path = "/oic/sec/pstat",
                                        .is_switch = true,
                                        .state = SVR_RFNOP };

        for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
                obt_add(f, &steps[i]);
        obt_add_certificate(f, channel);
        obt_add(f, &ready);
}

void obt_plan_own(struct obt_flow *f) {
        const enum obt_channel c = OBT_TRANSFER;
        const struct obt_step steps[] = {
                CLEAR_GET("discover", "/oic/sec/doxm", read_doxm),
                POST(OBT_CLEAR, "method", "/oic/sec/doxm", obt_write_method),
                { .name = "PIN", .type = OBT_WANT_PIN },
                { .name = "session", .type = OBT_WANT_CONNECT },
                POST(c, "owner", "/oic/sec/pstat", obt_write_om),
                POST(c, "owner", "/oic/sec/doxm", obt_write_owner),
                { .name = "owner",
                  .type = OBT_WANT_REQUEST,
                  .channel = c,
                  .method = COAP_POST,
                  .path = "/oic/sec/doxm",
                  .write = obt_write_id,
                  .read = read_renamed },
                POST(c, "owner", "/oic/sec/doxm", obt_write_rowner),
                POST(c, "owner", "/oic/sec/acl2", obt_write_rowner),
                POST(c, "owner", "/oic/sec/pstat", obt_write_rowner),
                { .name = "owner key", .type = OBT_WANT_STORE },
                POST(c, "owner key", "/oic/sec/cred", obt_write_owner_cred),
                { .name = "domain",
                  .type = OBT_WANT_REQUEST,
                  .channel = c,
                  .method = COAP_POST,
                  .path = "/oic/sec/sdi",
                  .write = obt_write_sdi,
                  .may_be_missing = true },
                { .name = "owned",
                  .type = OBT_WANT_REQUEST,
                  .channel = c,
                  .method = COAP_POST,
                  .path = "/oic/sec/doxm",
                  .write = obt_write_owned,
                  .is_point_of_no_return = true },
                { .name = "access",
                  .type = OBT_WANT_REQUEST,
                  .channel = c,
                  .method = COAP_POST,
                  .path = "/oic/sec/pstat",
                  .is_switch = true,
                  .state = SVR_RFPRO },
        };
        const struct obt_step close = { .name = "close", .type = OBT_WANT_DISCONNECT };
        uint8_t random[16];

        f->config.random(f->config.context, random, sizeof(random));
        uuid_from_random(&f->ids[1], random);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
                obt_add(f, &steps[i]);
        add_access(f, c);
        obt_add(f, &close);
}

void obt_plan_resume(struct obt_flow *f, int64_t state) {
        const struct obt_step provision = { .name = "access",
                                            .type = OBT_WANT_REQUEST,
                                            .channel = OBT_OWNER,
                                            .method = COAP_POST,
                                            .path = "/oic/sec/pstat",
                                            .is_switch = true,
                                            .state = SVR_RFPRO };

        if (state != SVR_RFPRO)
                obt_add(f, &provision);
        add_access(f, OBT_OWNER);
}

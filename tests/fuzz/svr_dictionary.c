#include "svr_dictionary.h"
#include "fuzz.h"
#include "protocol/rep.h"

#define OWNER "e29d6c5d-4736-4a8e-6b78-0ac23b2d6bde"
#define OTHER "11111111-2222-4333-8444-555555555555"
#define FIRST "00bfb2e9-f50d-4256-5947-cf6a4e1c9950"
#define NIL   "00000000-0000-0000-0000-000000000000"

struct uuid owner, other, first;

/* make_seeds.py has the same list: new words go behind the old ones. */
static const char *const words[] = {
        "oxms",
        "oxmsel",
        "sct",
        "owned",
        "deviceuuid",
        "devowneruuid",
        "rowneruuid",
        "dos",
        "s",
        "p",
        "isop",
        "cm",
        "tm",
        "om",
        "sm",
        "creds",
        "credid",
        "credtype",
        "subjectuuid",
        "credusage",
        "privatedata",
        "publicdata",
        "optionaldata",
        "roleid",
        "role",
        "authority",
        "period",
        "crms",
        "oscore",
        "senderid",
        "recipientid",
        "desc",
        "encoding",
        "data",
        "aclist2",
        "aceid",
        "subject",
        "uuid",
        "conntype",
        "permission",
        "resources",
        "href",
        "wc",
        "if",
        "rt",
        "validity",
        "recurrence",
        "supportedprofiles",
        "currentprofile",
        "name",
        "priv",
        "categoryfilter",
        "priorityfilter",
        "events",
        "roles",
        "own_key",
        "tag",
        "owner_cred",
        "oic.sec.encoding.raw",
        "oic.sec.encoding.base64",
        "oic.sec.encoding.pem",
        "oic.sec.cred.trustca",
        "oic.sec.cred.cert",
        "oic.sec.cred.rolecert",
        "oic.sec.cred.mfgtrustca",
        "oic.sec.cred.mfgcert",
        "anon-clear",
        "auth-crypt",
        "*",
        "+",
        "-",
        "/a/light",
        "/oic/sec/cred",
        "/oic/sec/roles",
        OWNER,
        OTHER,
        FIRST,
        NIL,
        "-----BEGIN CERTIFICATE-----\nA",
        "-----BEGIN CERTIFICATE-----\nB",
        "0123456789abcdef",
        "1.3.6.1.4.1.51414.0.0.1.0",
        "1.3.6.1.4.1.51414.0.0.2.0",
        "01f8fc9eee2eab",
        "0105637bf9df05",
        "20260101T080000Z/20260101T170000Z",
        "FREQ=DAILY;BYDAY=MO,TU",
        "oic.role.owner",
        "guest",
};

static void put_bytes(struct writer *w, size_t n) {
        static const uint8_t key[64] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

        rep_put_bytes(w, span_of(key, n));
}

/* Keys of the right lengths and of others, and numbers at the borders. */
static void put_other(struct writer *w, size_t i) {
        static const size_t sizes[] = { 0, 16, 32, 15, 64 };
        static const int64_t numbers[] = { -1, 329, 511, 512, INT32_MAX, (int64_t)INT32_MAX + 1, INT64_MAX };

        if (i < ARRAY_SIZE(sizes))
                put_bytes(w, sizes[i]);
        else
                rep_put_int(w, numbers[(i - ARRAY_SIZE(sizes)) % ARRAY_SIZE(numbers)]);
}

void svr_dictionary_init(void) {
        must_hold(uuid_parse(&owner, span_of_string(OWNER)));
        must_hold(uuid_parse(&other, span_of_string(OTHER)));
        must_hold(uuid_parse(&first, span_of_string(FIRST)));
}

void svr_dictionary_expand(struct writer *w, struct span payload) {
        uint8_t c, i;

        while (span_take_u8(&payload, &c)) {
                if (c != 0xe0 || !span_take_u8(&payload, &i))
                        writer_put_u8(w, c);
                else if (i < ARRAY_SIZE(words))
                        rep_put_string(w, words[i]);
                else
                        put_other(w, i - ARRAY_SIZE(words));
        }
}

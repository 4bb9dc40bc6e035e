#include "base/memory.h"
#include "model/model_private.h"
#include "model/query.h"
#include "protocol/rep.h"

#include <string.h>

/*
 * oic.if.b of /oic/res (core.md 6.4): what all the listed resources say, in one
 * answer. It gives nobody more than the same requests one by one would.
 */

#define HREF_ROOM (8 + UUID_TEXT_MAX + MODEL_HREF_MAX)

/* Not itself, and nothing about who may do what. */
bool batch_includes(const struct model *m, const struct ocf_request *request, const struct resource *r) {
        if (r->mode == RESOURCE_SECURE || (r->core && strcmp(r->href, "/oic/res") == 0))
                return false;
        if (!discovery_lists(m, request, r) || !discovery_reaches(m, request, r))
                return false;
        return m->may_read ? m->may_read(m->may_read_context, request, r) : discovery_is_plain(r);
}

static bool is_readable(const struct resource *r) {
        return resource_is_available(r) && interface_allows(r->default_interface, COAP_GET);
}

bool batch_must_ask(const struct resource *r) {
        return r->mode == RESOURCE_HANDLED && is_readable(r);
}

/* What an app answers has no ETag that we could promise anything about. */
static bool has_etag(const struct resource *r) {
        return r->mode != RESOURCE_HANDLED;
}

static void put_etag(struct writer *w, const struct resource *r) {
        uint64_t etag = resource_etag(r, r->default_interface);
        uint8_t bytes[8];

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)(etag >> (56 - 8 * i));
        rep_put_string(w, "etag");
        rep_put_bytes(w, span_of(bytes, sizeof(bytes)));
}

/* What cannot be read is the empty map (core.md 6.4). */
static void put_rep(struct writer *w, const struct resource *r, struct span asked) {
        bool baseline = r->default_interface == INTERFACE_BASELINE;

        rep_put_string(w, "rep");
        if (!is_readable(r))
                rep_put_map(w, 0);
        else if (r->mode == RESOURCE_PUBLISHED)
                rep_put_item(w, baseline ? span_of(r->baseline, r->n_baseline) : span_of(r->rep, r->n_rep));
        else if (r->mode == RESOURCE_HANDLED && asked.n)
                rep_put_item(w, asked);
        else if (r->mode != RESOURCE_CORE || !core_resource_put(r, r->default_interface, w))
                rep_put_map(w, 0);
}

static void put_item(struct writer *w, const struct resource *r, struct span asked) {
        char href[HREF_ROOM] = "ocf://";

        uuid_format(&r->device->di, href + 6);
        strcat(href, r->href); /* at most MODEL_HREF_MAX */
        rep_put_map(w, has_etag(r) ? 4 : 3);
        rep_put_string(w, "href");
        rep_put_string(w, href);
        resource_put_types(r, w);
        if (has_etag(r))
                put_etag(w, r);
        put_rep(w, r, asked);
}

/* ---- incChanges= (core.md 12.2): only what is newer than what the asker has ---- */

static int letter_value(uint8_t c) {
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Eleven letters of base64url are the eight bytes of an ETag, and two bits that are zero. */
static bool etag_of_text(struct span text, uint64_t *ret) {
        uint64_t etag = 0;

        if (text.n != 11)
                return false;
        for (size_t i = 0; i < 11; i++) {
                int v = letter_value(text.data[i]);

                if (v < 0 || (i == 10 && v & 3))
                        return false;
                etag = i < 10 ? etag << 6 | (uint64_t)v : etag << 4 | (uint64_t)v >> 2;
        }
        *ret = etag;
        return true;
}

static bool etag_of_bytes(struct span bytes, uint64_t *ret) {
        uint64_t etag = 0;

        if (bytes.n != 8)
                return false;
        for (size_t i = 0; i < 8; i++)
                etag = etag << 8 | bytes.data[i];
        *ret = etag;
        return true;
}

/* The state of the model in which the asker's newest known resource came to be; 0: it has none of them. */
static uint64_t state_of(const struct model *m, const struct ocf_request *request, const struct device *d,
                         uint64_t etag) {
        LIST_FOR_EACH(i, &d->resources) {
                const struct resource *r = LIST_ENTRY(i, struct resource, device_link);

                if (has_etag(r) && resource_etag(r, r->default_interface) == etag &&
                    batch_includes(m, request, r))
                        return r->etag;
        }
        return 0;
}

static uint64_t newer(uint64_t a, uint64_t b) {
        return a > b ? a : b;
}

static bool wants_changes(struct span query) {
        struct span key, value;

        while (query_next(&query, &key, &value))
                if (span_equal_string(key, "incChanges"))
                        return true;
        return false;
}

static uint64_t known_state(const struct model *m, const struct ocf_request *request,
                            const struct device *d) {
        struct span query = request->query, key, values, value;
        uint64_t state = 0, etag;

        if (!wants_changes(query))
                return 0;
        while (query_next(&query, &key, &values)) {
                if (!span_equal_string(key, "incChanges"))
                        continue;
                while (span_split(&values, ',', &value))
                        if (etag_of_text(value, &etag))
                                state = newer(state, state_of(m, request, d, etag));
        }
        for (size_t i = 0; i < request->n_etags; i++)
                if (etag_of_bytes(request->etags[i], &etag))
                        state = newer(state, state_of(m, request, d, etag));
        return state;
}

/* ---- the whole ---- */

uint64_t batch_put(struct writer *w, struct model *m, const struct ocf_request *request,
                   const struct device *d, batch_rep_of *rep_of, void *context) {
        uint64_t n = 0, state = known_state(m, request, d);
        size_t begun = rep_begin_array(w);

        LIST_FOR_EACH(i, &d->resources) {
                const struct resource *r = LIST_ENTRY(i, struct resource, device_link);

                if (w->overflow)
                        break;
                if ((has_etag(r) && r->etag <= state) || !batch_includes(m, request, r))
                        continue;
                put_item(w, r, rep_of && r->mode == RESOURCE_HANDLED ? rep_of(context, r) : SPAN_NULL);
                n++;
        }
        rep_end_array(w, begun, n);
        return n;
}

static uint64_t put_known(struct writer *w, struct model *m, const struct ocf_request *request,
                          const struct route *route) {
        return batch_put(w, m, request, route->device, NULL, NULL);
}

static bool must_ask(const struct model *m, const struct ocf_request *request, const struct device *d) {
        LIST_FOR_EACH(i, &d->resources) {
                const struct resource *r = LIST_ENTRY(i, struct resource, device_link);

                if (batch_must_ask(r) && batch_includes(m, request, r))
                        return true;
        }
        return false;
}

/*
 * The values of a house are not for everybody who listens: the batch goes over
 * secure channels, as the reference has it, or where the administrator has
 * allowed plain access anyway. Which resources an app of this machine may use
 * is decided request by request, so it asks for them one by one.
 */
static const char *refusal(const struct model *m, const struct ocf_request *request, enum fault *ret) {
        switch (request->subject.kind) {
        case SUBJECT_ANON_CLEAR:
                *ret = FAULT_BAD_REQUEST;
                return m->allow_insecure ? NULL : "oic.if.b of /oic/res is given over secure channels only";
        case SUBJECT_LOCAL:
                *ret = FAULT_FORBIDDEN;
                return "oic.if.b of /oic/res is for devices: an application asks the resources one by one";
        case SUBJECT_AUTH_CRYPT:
                break;
        }
        return NULL;
}

enum model_answer batch_answer(struct model *m, const struct ocf_request *request, const struct route *route,
                               struct ocf_response *response) {
        static const char *const keys[] = { "rt", NULL };
        struct whole_answer values = {
                .kind = ANSWER_BATCH,
                .stamp = m->etag, /* every value that changes takes a new one */
                .keys = keys,
                /* It also depends on the ETags asked with; on who asks. */
                .is_fleeting = wants_changes(request->query) || m->may_read,
                .put = put_known,
        };

        enum fault fault;
        const char *why = refusal(m, request, &fault);

        if (why) {
                *response = OCF_RESPONSE_FAULT(fault);
                response->diagnostic = why;
                return request->multicast ? MODEL_SILENT : MODEL_ANSWERED;
        }
        if (must_ask(m, request, route->device))
                return MODEL_HANDLED;
        return whole_answer_give(m, request, route, &values, response);
}

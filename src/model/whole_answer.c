#include "base/memory.h"
#include "model/endpoint_text.h"
#include "model/model_private.h"
#include "model/query.h"

#include <string.h>

/*
 * Answers about many resources: written once for each view of them, and given
 * from memory until the model changes. The key has all that makes a view: who
 * asks (an app, or the wire), which address of ours and over which family, and
 * the parts of the query that select something. What a multicast leaves
 * unanswered, because nothing matches, is not kept: strangers may ask for
 * nothing in many ways.
 */

#define ROOM_START (16u * 1024)
#define ROOM_MAX   (16u * 1024 * 1024)

static bool selects(const char *const *keys, struct span key) {
        if (!keys)
                return true;
        for (size_t i = 0; keys[i]; i++)
                if (span_equal_string(key, keys[i]))
                        return true;
        return false;
}

/* False: the query is too long for a key. */
static bool make_key(struct answer_key *ret, const struct model *m, const struct ocf_request *request,
                     const struct whole_answer *about) {
        struct span query = request->query, name, value;

        *ret = (struct answer_key){
                .kind = (uint8_t)about->kind,
                .subject = (uint8_t)request->subject.kind,
                .allow_insecure = m->allow_insecure,
                .device = request->device,
        };
        if (about->kind == ANSWER_LINKS || about->kind == ANSWER_BASELINE) {
                /* They say addresses, and the same to all of the wire. */
                if (request->subject.kind != SUBJECT_LOCAL)
                        ret->subject = SUBJECT_ANON_CLEAR;
                ret->is_ipv4 = coap_peer_is_ipv4(&request->peer);
                ret->interface = request->peer.interface;
                memcpy(ret->local_ip, request->peer.local_ip, sizeof(ret->local_ip));
        }
        while (query_next(&query, &name, &value))
                if (selects(about->keys, name) && !answer_key_add(ret, name, value))
                        return false;
        return true;
}

/* The same links look different from elsewhere, and through a filter: the ETag knows all that. */
static uint64_t etag_of(uint64_t seed, struct span bytes) {
        uint64_t h = seed * 0x9e3779b97f4a7c15u;

        for (size_t i = 0; i < bytes.n; i++)
                h = (h ^ bytes.data[i]) * 1099511628211u;
        return h ? h : 1;
}

static enum model_answer give(const struct ocf_request *request, const struct whole_answer *about,
                              struct span bytes, uint64_t etag, struct ocf_response *response) {
        *response = OCF_RESPONSE_OK(COAP_CONTENT);
        if (about->kind == ANSWER_LINK_FORMAT) {
                response->raw = bytes;
                response->raw_format = COAP_FORMAT_LINK;
        } else {
                response->rep = bytes;
        }
        response->etag = etag;
        response_validate(response, request);
        return MODEL_ANSWERED;
}

static enum model_answer fail(const struct ocf_request *request, enum fault fault,
                              struct ocf_response *response) {
        *response = OCF_RESPONSE_FAULT(fault);
        return request->multicast ? MODEL_SILENT : MODEL_ANSWERED;
}

static enum model_answer make(struct model *m, const struct ocf_request *request, const struct route *route,
                              const struct whole_answer *about, const struct answer_key *key,
                              struct ocf_response *response) {
        for (size_t room = ROOM_START; room <= ROOM_MAX; room *= 4) {
                struct writer w = writer_on(model_scratch(m, room), room);
                const struct answer *kept = NULL;
                uint64_t n, etag;

                if (!w.data)
                        return fail(request, FAULT_BUSY, response);
                n = about->put(&w, m, request, route);
                if (w.overflow)
                        continue;
                if (!n && request->multicast)
                        return MODEL_SILENT;
                etag = etag_of(route->resource->etag, writer_span(&w));
                if (n && key)
                        kept = answer_cache_keep(&m->answers, key, about->stamp, writer_span(&w), etag);
                return give(request, about, kept ? span_of(kept->data, kept->n) : writer_span(&w), etag,
                            response);
        }
        return fail(request, FAULT_FAILED, response);
}

/* Nothing that matches is an empty list: the question was understood, and 4.04 would deny the resource. */
enum model_answer whole_answer_give(struct model *m, const struct ocf_request *request,
                                    const struct route *route, const struct whole_answer *about,
                                    struct ocf_response *response) {
        struct answer_key key;
        const struct answer *known;
        bool has_key = !about->is_fleeting && make_key(&key, m, request, about);

        known = has_key ? answer_cache_find(&m->answers, &key, about->stamp) : NULL;
        if (known)
                return give(request, about, span_of(known->data, known->n), known->etag, response);
        return make(m, request, route, about, has_key ? &key : NULL, response);
}

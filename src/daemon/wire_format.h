/*
 * Between what the house says (representations in normal form, faults) and what
 * a peer sent or asked for: content formats 10000 and 60 are the same CBOR, 50
 * is JSON for people with a plain CoAP client.
 */
#ifndef OCF_DAEMON_WIRE_FORMAT_H
#define OCF_DAEMON_WIRE_FORMAT_H

#include "model/call.h"
#include "protocol/coap_endpoint.h"

struct wire_format; /* buffers that grow to what was needed, up to WIRE_FORMAT_MAX */

#define WIRE_FORMAT_MAX (4u * 1024 * 1024)

int wire_format_new(struct wire_format **ret);
struct wire_format *wire_format_free(struct wire_format *f);

/* A payload from outside as normal form; *ret is good until the next call. No Content-Format means CBOR
 * (core.md 2.7). lenient: rep_normalise_leniently(). */
enum fault wire_format_payload(struct wire_format *f, int content_format, struct span payload, bool lenient,
                               struct span *ret);

/* An answer for the wire, in the format asked for; its spans are good until the next call. */
void wire_format_response(struct wire_format *f, const struct ocf_response *response, int accept,
                          struct coap_response *ret);

/* An ETag of the model as bytes. */
void wire_format_etag(uint64_t etag, uint8_t ret[static 8]);

#endif

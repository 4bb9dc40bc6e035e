/*
 * Endpoints as /oic/res writes them: "coap://192.0.2.1:5683",
 * "coaps+tcp://[2001:db8::1]:5684". IPv6 after RFC 5952, without a zone, which
 * means something only to us (core.md 4).
 */
#ifndef OCF_MODEL_ENDPOINT_TEXT_H
#define OCF_MODEL_ENDPOINT_TEXT_H

#include "model/model.h"

#define ENDPOINT_TEXT_MAX 72

bool ip_is_v4(const uint8_t ip[static 16]); /* ::ffff:a.b.c.d */
bool ip_is_link_local(const uint8_t ip[static 16]);

/* Numbers alone; IPv4 becomes ::ffff:a.b.c.d. A port is 1 to 65535. */
bool ip_parse(const char *text, uint8_t ret[static 16]);
bool port_parse(const char *text, uint16_t *ret);

/* Both return buf. */
const char *ip_format(const uint8_t ip[static 16], char buf[static ENDPOINT_TEXT_MAX]);
const char *endpoint_format(const struct device_endpoint *e, char buf[static ENDPOINT_TEXT_MAX]);

#endif

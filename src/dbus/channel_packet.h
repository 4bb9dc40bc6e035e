/*
 * Packets of a channel: the fast way between the daemon and an application's
 * handlers, beside the bus (Application1.AcquireChannel, org.ocfd(5)).
 *
 * A channel is a SOCK_SEQPACKET descriptor. Each packet is one CBOR array in
 * normal form; representations stand in it as byte strings, so that a packet is
 * never nested.
 *
 *     request   [1, id, method, href, interface, query, flags, timeout_ms, device_id, uid, value]
 *     answer    [2, id, code, content_format, max_age_s, value]
 *     fault     [3, id, name, text]
 *     part      [4, id, bytes]
 *
 * Requests go to the application, the others to the daemon. method: 0 retrieve,
 * 1 update, 2 create, 3 delete. flags: 1 notify, 2 secure. What does not apply is
 * null. A value that is longer than CHANNEL_PART_MAX goes ahead in parts. Arrays
 * may be longer in later versions. A packet that is none of these ends the channel.
 */
#ifndef OCF_DBUS_CHANNEL_PACKET_H
#define OCF_DBUS_CHANNEL_PACKET_H

#include "base/span.h"

#define CHANNEL_PACKET_MAX (66u * 1024)
#define CHANNEL_PART_MAX   (64u * 1024)
#define CHANNEL_VALUE_MAX  (1024u * 1024)

enum channel_kind { CHANNEL_REQUEST = 1, CHANNEL_ANSWER = 2, CHANNEL_FAULT = 3, CHANNEL_PART = 4 };

enum { CHANNEL_NOTIFY = 1, CHANNEL_SECURE = 2 };

struct channel_packet {
        enum channel_kind kind;
        uint64_t id;
        /* of a request */
        uint64_t method, flags, timeout_ms;
        struct span href, interface, query, device_id; /* device_id data NULL: none */
        int64_t uid;                                   /* -1: none */
        /* of an answer; -1: not said */
        int64_t code; /* enum coap_code */
        int64_t content_format, max_age_s;
        /* of a fault */
        struct span name, text;
        struct span value; /* CBOR, of requests, answers and parts; data NULL: none */
};

/* False when it does not fit. */
bool channel_packet_write(const struct channel_packet *p, struct writer *w);

enum { CHANNEL_PACKET_E_MALFORMED = 1 };

/* packet is in normal form (rep_normalise(), unless its sender is trusted). Spans point into it. */
int channel_packet_read(struct channel_packet *ret, struct span packet);

#endif

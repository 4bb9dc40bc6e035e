/*
 * From the options of a request to what it asks for (RFC 7252, 5.10; the rules
 * for wrong, repeated and unknown options of 5.4).
 */
#ifndef OCF_PROTOCOL_COAP_PARSE_REQUEST_H
#define OCF_PROTOCOL_COAP_PARSE_REQUEST_H

#include "protocol/coap_endpoint.h"
#include "protocol/coap_message.h"

struct coap_request_details {
        struct coap_request request;
        bool has_block2, has_block1, block1_more;
        uint32_t block2_num, block1_num;
        uint8_t block2_szx, block1_szx;
        uint32_t size1;    /* 0: not said */
        uint64_t tag_hash; /* of Request-Tag options (RFC 9175, 3): bodies under different tags do not mix */
        struct span echo;  /* RFC 9175, 2; data NULL: none */
        int observe;       /* -1: none; 0 register, 1 cancel */
        uint8_t no_response; /* RFC 7967: bits of classes that are not wanted */
        uint8_t refusal;     /* code of the answer that is due instead, with its text; 0: none */
        bool bad_option; /* an option that is critical and unknown, repeated or malformed: 4.02 to CON, reset
                            to NON */
        const char *refusal_text;
};

/* Where path and query are put together. */
struct coap_request_scratch {
        uint8_t path[COAP_PATH_MAX + 1];
        uint8_t query[COAP_QUERY_MAX + 1];
};

/* Fills in *ret but confirmable and multicast; its spans point into message and scratch. bert: block size 7
 * is good (RFC 8323, 6). */
void coap_parse_request(struct coap_request_details *ret, const struct coap_message *m, bool bert,
                        struct coap_request_scratch *scratch);

#endif

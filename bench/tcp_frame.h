/*
 * Messages of CoAP over TCP (RFC 8323, 3.2): where one ends and the next begins.
 */
#ifndef OCF_BENCH_TCP_FRAME_H
#define OCF_BENCH_TCP_FRAME_H

#include "common.h"

enum {
        TCP_CSM = 0xe1,
        TCP_PING = 0xe2,
        TCP_PONG = 0xe3,
        TCP_RELEASE = 0xe4,
        TCP_ABORT = 0xe5,
        TCP_HEAD_MAX = 6
};

#define TCP_FRAME_BAD SIZE_MAX

struct tcp_frame {
        uint8_t code, n_token;
        const uint8_t *token;
        const uint8_t *rest; /* options and payload */
        size_t n_rest;
};

/* Return: how long the message is; 0 when it is not there as a whole; TCP_FRAME_BAD. */
size_t tcp_frame_read(const uint8_t *bytes, size_t n, struct tcp_frame *ret);

/* to: TCP_HEAD_MAX + n_token + n_rest bytes. Return: how many were written. */
size_t tcp_frame_put(uint8_t *to, uint8_t code, const uint8_t *token, uint8_t n_token, const uint8_t *rest,
                     size_t n_rest);

#endif

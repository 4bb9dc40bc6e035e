/*
 * A UDP socket that takes and gives datagrams in batches, as ocfd's own does:
 * under both secured floors, so that the kernel costs both the same.
 */
#ifndef OCF_BENCH_BATCH_H
#define OCF_BENCH_BATCH_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define BATCH_N         64
#define BATCH_OUT       256
#define BATCH_BYTES_MAX 2048

int batch_open(const char *port); /* on the loopback; dies when it cannot */

/* Waits for datagrams, and gives each away. */
typedef void batch_fn(uint8_t *bytes, size_t n, const struct sockaddr_in *from);
void batch_receive(int fd, int timeout_ms, batch_fn *fn);

/* A place for a datagram of BATCH_BYTES_MAX; then it is on its way with the next flush. */
uint8_t *batch_place(int fd);
void batch_put(size_t n, const struct sockaddr_in *to);
void batch_flush(int fd);

#endif

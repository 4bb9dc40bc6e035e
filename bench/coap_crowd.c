/*
 * The others: so many clients that each ask once and change something once,
 * then fall silent. Whatever a server keeps of them (RFC 7252 wants the answer
 * to a confirmable request remembered for 247 seconds) it keeps from then on.
 *
 *     coap_crowd [-n CLIENTS] [-w OUTSTANDING] [-u] [-b BYTES] [-p PID] ADDRESS PORT PATH
 *
 * Each sends a CON GET and then a CON POST of {"power": 12} (-u: PUT; -b: filled
 * up to so many bytes), from an address of its own, one after the other. With a
 * PID it also says by how much that process grew. Lost messages are sent again, as
 * RFC 7252 has it, with the same message id; exit status 1 when an answer was wrong.
 */
#include "common.h"
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AGAIN_NS  500000000u
#define TRIES_MAX 8
#define N_TOKEN   4

enum step { STEP_GET, STEP_CHANGE, STEP_DONE };

struct other {
        uint64_t sent_ns;
        enum step step;
        uint8_t n_sent;
};

static struct crowd crowd;
static struct other others[CROWD_CLIENTS_MAX];
static int n_clients = 10000, n_outstanding = 64, n_active, n_begun, n_done, pid;
static uint8_t change_code = BENCH_POST;
static uint16_t first_mid; /* another one each time, so that a crowd that comes again asks anew */
static struct bench_options get, change;
static uint8_t body[1024] = "\xa1\x65power\x0c";
static size_t n_body = 8;
static uint64_t n_again, n_twice, n_wrong;

static void send_step(int client) {
        struct other *o = &others[client];
        const struct bench_options *options = o->step == STEP_GET ? &get : &change;
        uint16_t mid = (uint16_t)(first_mid + o->step);
        uint8_t m[4 + N_TOKEN + sizeof(options->bytes) + 1 + sizeof(body)], *p = m + 4 + N_TOKEN;
        uint32_t token = (uint32_t)client << 2 | (uint32_t)o->step;

        m[0] = BENCH_CON | N_TOKEN;
        m[1] = o->step == STEP_GET ? BENCH_GET : change_code;
        m[2] = (uint8_t)(mid >> 8);
        m[3] = (uint8_t)mid;
        memcpy(m + 4, &token, N_TOKEN);
        memcpy(p, options->bytes, options->n);
        p += options->n;
        if (o->step == STEP_CHANGE) {
                *p++ = 0xff;
                memcpy(p, body, n_body);
                p += n_body;
        }
        o->sent_ns = bench_now_ns();
        o->n_sent++;
        crowd_send(&crowd, client, m, (size_t)(p - m));
}

static bool is_right(const struct other *o, const struct bench_message *a) {
        if (o->step == STEP_GET)
                return a->code == BENCH_CONTENT && a->n_payload;
        return a->code == BENCH_CHANGED || (change_code == BENCH_PUT && a->code == 0x41);
}

static void on_message(void *context, int client, const uint8_t *m, size_t n) {
        struct other *o = &others[client];
        struct bench_message a;
        uint32_t token;

        if (!bench_parse(m, n, &a) || a.type != BENCH_ACK || a.n_token != N_TOKEN) {
                n_wrong += !(n == 4 && m[0] == BENCH_ACK);
                return;
        }
        memcpy(&token, a.token, N_TOKEN);
        if (token >> 2 != (uint32_t)client || a.mid != (uint16_t)(first_mid + (token & 3))) {
                n_wrong++;
                return;
        }
        if ((token & 3) != (uint32_t)o->step) {
                n_twice++;
                return;
        }
        n_wrong += !is_right(o, &a);
        o->n_sent = 0;
        if (++o->step == STEP_DONE) {
                n_done++;
                n_active--;
        } else {
                send_step(client);
        }
}

static void send_again(void) {
        uint64_t t = bench_now_ns();

        for (int i = 0; i < n_begun; i++) {
                if (others[i].step == STEP_DONE || t - others[i].sent_ns < AGAIN_NS)
                        continue;
                if (others[i].n_sent == TRIES_MAX) {
                        fputs("coap_crowd: no answer\n", stderr);
                        exit(BENCH_LOST);
                }
                n_again++;
                send_step(i);
        }
}

static void play(void) {
        uint64_t look_ns = bench_now_ns();

        while (n_done < n_clients) {
                for (; n_active < n_outstanding && n_begun < n_clients; n_active++)
                        send_step(n_begun++);
                (void)crowd_receive(&crowd, 100, on_message, NULL);
                if (bench_now_ns() - look_ns > AGAIN_NS) {
                        look_ns = bench_now_ns();
                        send_again();
                }
        }
        (void)crowd_receive(&crowd, 100, on_message, NULL); /* what came twice */
}

static void fill_body(size_t n) {
        if (n < 16 || n > 255)
                return;
        body[0] = 0xa2;
        memcpy(body + 8,
               "\x64"
               "fill\x78",
               6);
        body[14] = (uint8_t)(n - 15);
        memset(body + 15, 'x', n - 15);
        n_body = n;
}

static bool read_arguments(int argc, char **argv) {
        int option;

        while ((option = getopt(argc, argv, "n:w:b:p:u")) >= 0) {
                if (option == 'n')
                        n_clients = atoi(optarg);
                else if (option == 'w')
                        n_outstanding = atoi(optarg);
                else if (option == 'b')
                        fill_body((size_t)atoi(optarg));
                else if (option == 'u')
                        change_code = BENCH_PUT;
                else if (option == 'p')
                        pid = atoi(optarg);
                else
                        return false;
        }
        return argc - optind == 3 && n_clients >= 1 && n_clients <= CROWD_CLIENTS_MAX && n_outstanding >= 1;
}

int main(int argc, char **argv) {
        struct sockaddr_in to;
        long before_kib;

        if (!read_arguments(argc, argv)) {
                fputs("Usage: coap_crowd [-n CLIENTS] [-w OUTSTANDING] [-u] [-b BYTES] [-p PID] ADDRESS PORT "
                      "PATH\n",
                      stderr);
                return BENCH_TROUBLE;
        }
        to = bench_loopback(argv[optind], argv[optind + 1]);
        bench_option_path(&get, argv[optind + 2]);
        bench_option_path(&change, argv[optind + 2]);
        bench_option(&change, 12, "\x3c", 1); /* CBOR */
        first_mid = (uint16_t)bench_now_ns();
        crowd_open(&crowd, &to, n_clients, 32);
        before_kib = bench_memory_kib(pid);
        play();
        printf("clients=%d again=%llu twice=%llu wrong=%llu grown_kib=%ld\n", n_clients,
               (unsigned long long)n_again, (unsigned long long)n_twice, (unsigned long long)n_wrong,
               bench_memory_kib(pid) - before_kib);
        return n_wrong ? BENCH_WRONG : BENCH_OK;
}

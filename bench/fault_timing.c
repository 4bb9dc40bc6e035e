/*
 * Does the time in which a record is refused tell why (Lucky 13)? Pairs of faulty
 * records, of the same length, are opened in random order on one core; Welch's t
 * says whether their times differ. |t| below 4.5 is the usual measure for "nothing
 * seen". The same pairs go through a check that stops at the first fault, so that
 * one sees what the measure would see.
 *
 *     fault_timing [SAMPLES]       of each kind (40000)
 */
#include "common.h"
#include "security/crypto.h"
#include "security/tls_cbc.h"

#include <math.h>
#include <openssl/crypto.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK    16u
#define N_PLAIN  320u /* data, MAC and padding of every record */
#define N_RECORD (TLS_CBC_IV + N_PLAIN)
#define KEPT     0.9 /* of the times, the shortest: the others are interrupts */

static const uint8_t key[TLS_CBC_KEY] = { 1, 2, 3 }, mac_key[TLS_CBC_MAC] = { 4, 5, 6 };

/* How a record is wrong. */
struct fault {
        unsigned n_padding;  /* bytes, with the one that counts them */
        bool padding, mac;   /* which of them is wrong */
        unsigned padding_at; /* the byte of the padding that is, from its front */
};

static const struct {
        const char *name;
        struct fault faults[2];
} pairs[] = {
        { "padding / MAC, 16 bytes of padding", { { 16, true, false, 0 }, { 16, false, true, 0 } } },
        { "first / last byte of 256 of padding", { { 256, true, false, 0 }, { 256, true, false, 254 } } },
        { "MAC, 1 / 256 bytes of padding", { { 1, false, true, 0 }, { 256, false, true, 0 } } },
};

static uint64_t now(void) {
#if defined(__x86_64__)
        unsigned aux;

        return __builtin_ia32_rdtscp(&aux);
#else
        return bench_now_ns();
#endif
}

static uint64_t draw(void) {
        static uint64_t state = 0x9e3779b97f4a7c15;

        state ^= state << 13;
        state ^= state >> 7;
        return state ^= state << 17;
}

static void put_header(uint8_t header[TLS_CBC_HEADER], size_t n) {
        memset(header, 0, TLS_CBC_HEADER);
        header[1] = 1;
        header[8] = 23;
        header[9] = 0xfe;
        header[10] = 0xfd;
        header[11] = (uint8_t)(n >> 8);
        header[12] = (uint8_t)n;
}

/* A record as a peer would make it that has the keys, but for the fault. */
static void make_record(const struct fault *f, uint8_t ret[N_RECORD]) {
        size_t n_data = N_PLAIN - TLS_CBC_MAC - f->n_padding;
        uint8_t header[TLS_CBC_HEADER], plain[N_PLAIN], iv[TLS_CBC_IV];
        const struct span parts[] = { { header, sizeof(header) }, { plain, n_data } };
        EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
        int n;

        for (size_t i = 0; i < n_data; i++)
                plain[i] = (uint8_t)draw();
        for (size_t i = 0; i < sizeof(iv); i++)
                iv[i] = (uint8_t)draw();
        put_header(header, n_data);
        if (!c || !crypto_hmac_once(span_of(mac_key, sizeof(mac_key)), parts, 2, plain + n_data))
                bench_die("libcrypto");
        memset(plain + n_data + TLS_CBC_MAC, (int)f->n_padding - 1, f->n_padding);
        if (f->mac)
                plain[n_data + draw() % TLS_CBC_MAC] ^= 1;
        if (f->padding)
                plain[n_data + TLS_CBC_MAC + f->padding_at] ^= 1;
        memcpy(ret, iv, sizeof(iv));
        if (EVP_EncryptInit_ex(c, EVP_aes_128_cbc(), NULL, key, iv) != 1 ||
            EVP_CIPHER_CTX_set_padding(c, 0) != 1 ||
            EVP_EncryptUpdate(c, ret + TLS_CBC_IV, &n, plain, N_PLAIN) != 1)
                bench_die("libcrypto");
        EVP_CIPHER_CTX_free(c);
}

/* ---- the two checks ---- */

typedef bool open_fn(uint8_t record[N_RECORD]);

static struct tls_cbc ours;
static EVP_CIPHER_CTX *naive_cipher;

static bool open_ours(uint8_t record[N_RECORD]) {
        uint8_t header[TLS_CBC_HEADER];
        struct span data;

        put_header(header, 0);
        return tls_cbc_open(&ours, header, record, N_RECORD, &data);
}

static bool open_naively(uint8_t record[N_RECORD]) {
        uint8_t header[TLS_CBC_HEADER], plain[N_PLAIN], mac[CRYPTO_HASH];
        struct span parts[] = { { header, sizeof(header) }, { plain, 0 } };
        size_t n_padding, n_data;
        int n;

        if (EVP_DecryptInit_ex(naive_cipher, NULL, NULL, NULL, record) != 1 ||
            EVP_DecryptUpdate(naive_cipher, plain, &n, record + TLS_CBC_IV, N_PLAIN) != 1)
                return false;
        n_padding = plain[N_PLAIN - 1] + 1u;
        for (size_t i = 0; i < n_padding; i++)
                if (plain[N_PLAIN - n_padding + i] != n_padding - 1)
                        return false;
        n_data = N_PLAIN - n_padding - TLS_CBC_MAC;
        put_header(header, n_data);
        parts[1].n = n_data;
        return crypto_hmac_once(span_of(mac_key, sizeof(mac_key)), parts, 2, mac) &&
               memcmp(mac, plain + n_data, sizeof(mac)) == 0;
}

/* ---- Welch ---- */

static int by_size(const void *a, const void *b) {
        const double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static void mean_of(double *times, size_t n, double *ret_mean, double *ret_error) {
        double sum = 0, squares = 0;

        qsort(times, n, sizeof(*times), by_size);
        n = (size_t)((double)n * KEPT);
        for (size_t i = 0; i < n; i++)
                sum += times[i];
        *ret_mean = sum / (double)n;
        for (size_t i = 0; i < n; i++)
                squares += (times[i] - *ret_mean) * (times[i] - *ret_mean);
        *ret_error = squares / (double)(n - 1) / (double)n;
}

static double compare(open_fn *open, const struct fault faults[2], size_t n_samples, double ret_means[2]) {
        static uint8_t pool[2][64][N_RECORD], record[N_RECORD];
        double *times[2] = { calloc(n_samples, sizeof(double)), calloc(n_samples, sizeof(double)) },
               errors[2];
        size_t n[2] = { 0, 0 };

        if (!times[0] || !times[1])
                bench_die("memory");
        for (size_t i = 0; i < 2; i++)
                for (size_t k = 0; k < 64; k++)
                        make_record(&faults[i], pool[i][k]);
        while (n[0] < n_samples || n[1] < n_samples) {
                size_t which = draw() >> 40 & 1;
                uint64_t before;
                double time;

                memcpy(record, pool[which][draw() >> 40 & 63], N_RECORD);
                before = now();
                if (open(record)) {
                        fputs("fault_timing: a faulty record was opened\n", stderr);
                        exit(BENCH_WRONG);
                }
                time = (double)(now() - before);
                if (n[which] < n_samples)
                        times[which][n[which]++] = time;
        }
        for (size_t i = 0; i < 2; i++) {
                mean_of(times[i], n_samples, &ret_means[i], &errors[i]);
                free(times[i]);
        }
        return (ret_means[0] - ret_means[1]) / sqrt(errors[0] + errors[1]);
}

/* A record without a fault has to open, or nothing is compared. */
static bool is_set_up(void) {
        const struct fault none = { .n_padding = 16 };
        uint8_t record[N_RECORD], again[N_RECORD];
        cpu_set_t one;

        CPU_ZERO(&one);
        CPU_SET((unsigned)sched_getcpu(), &one);
        (void)sched_setaffinity(0, sizeof(one), &one);
        naive_cipher = EVP_CIPHER_CTX_new();
        if (!naive_cipher || !tls_cbc_init(&ours, TLS_CBC_OPEN, true, false, key, mac_key) ||
            EVP_DecryptInit_ex(naive_cipher, EVP_aes_128_cbc(), NULL, key, NULL) != 1 ||
            EVP_CIPHER_CTX_set_padding(naive_cipher, 0) != 1)
                return false;
        make_record(&none, record);
        memcpy(again, record, sizeof(again));
        return open_ours(record) && open_naively(again);
}

int main(int argc, char **argv) {
        size_t n_samples = argc > 1 ? (size_t)atoi(argv[1]) : 40000;
        double worst = 0, least_naive = INFINITY;

        if (n_samples < 100 || !is_set_up())
                return BENCH_TROUBLE;
        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
                double means[2], t = compare(open_ours, pairs[i].faults, n_samples, means);
                double naive_means[2], naive = compare(open_naively, pairs[i].faults, n_samples, naive_means);

                fprintf(stderr, "%-38s %8.0f %8.0f t=%7.2f   naively %8.0f %8.0f t=%8.2f\n", pairs[i].name,
                        means[0], means[1], t, naive_means[0], naive_means[1], naive);
                worst = fmax(worst, fabs(t));
                least_naive = fmin(least_naive, fabs(naive));
        }
        printf("t=%.2f naive=%.2f\n", worst, least_naive);
        EVP_CIPHER_CTX_free(naive_cipher);
        tls_cbc_deinit(&ours);
        return BENCH_OK;
}

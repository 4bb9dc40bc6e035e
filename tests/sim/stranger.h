/*
 * Clients written by hand: they share no code with the endpoint's own client,
 * so that the two cannot be wrong together.
 *
 *     plain  a careful one: retransmits, follows blocks, observes, and looks at
 *            each byte that comes; all of them use equal message ids and tokens
 *     wrap   uses up all message ids twice within seconds
 *     late   repeats its requests seconds and minutes later
 *     rude   malformed messages, pings, answers to nothing, RST to all
 *     forge  hears all that nodes say, and answers in the place of those who were asked
 *     spoof  asks in somebody else's name, who never asked for anything
 */
#ifndef OCF_TESTS_SIM_STRANGER_H
#define OCF_TESTS_SIM_STRANGER_H

#include "world.h"

#include "protocol/coap_message.h"

/* What a plain stranger has under way. */
struct errand {
        uint32_t key;
        uint16_t mid;
        uint64_t due_ms;
        uint32_t timeout_ms, num;
        unsigned n_sent;
        uint8_t szx;
        bool acknowledged;
        uint64_t stop_ms,
                rejected_ms; /* of an observation: when it is not wanted any more, and was said so */
        uint16_t rejected_mid;
        uint8_t n_etag, etag[8];
        size_t n_body;
        uint8_t *body;
        int64_t sequence;
        uint64_t sequence_ms;
};

struct stranger {
        struct station station;
        enum stranger_kind kind;
        uint16_t first_mid, next_mid;
        uint32_t first_key;         /* wrap, late: the keys are in a row */
        uint32_t n_errands, n_done; /* n_errands: how many it will have */
        struct errand *errands;
        uint32_t n_pings, n_pongs;
};

void strangers_init(struct world *w);
void strangers_deinit(struct world *w);
struct station *stranger_station(struct world *w, uint32_t index);

void stranger_happens(struct world *w, uint32_t index, uint32_t which);
void stranger_receives(struct world *w, uint32_t index, const struct flight *f);

bool stranger_is_greedy(struct world *w, const struct ask *a); /* made by one that asks too much */

/* A node said something: forgers hear it. */
void strangers_overhear(struct world *w, const struct station *from, const uint8_t *bytes, size_t n);

/* They want nothing more. */
void strangers_leave(struct world *w);
/* What was promised to them must have been kept. */
void strangers_check(struct world *w);

/* ---- for the files of each kind ---- */

#define STRANGER_TOKEN 3u /* bytes: the number of the errand, so that different strangers use equal ones */

void stranger_plan(struct world *w, struct stranger *s, uint64_t at_ms, uint32_t which);
void stranger_send(struct world *w, struct stranger *s, const void *bytes, size_t n);
void stranger_send_empty(struct world *w, struct stranger *s, enum coap_type type, uint16_t mid);

/* A request of kind with its key, as far as the options that a caller wants to add may follow: Uri-Query is
 * the last. */
struct coap_builder stranger_request(uint8_t buf[256], const struct ask *a, enum coap_type type, uint16_t mid,
                                     uint32_t number, bool observe, uint32_t key);
bool stranger_number(const struct coap_message *m, uint32_t *ret); /* of its errand, from the token */

void plain_happens(struct world *w, struct stranger *s, uint32_t which);
void plain_receives(struct world *w, struct stranger *s, const struct coap_message *m);

void rude_init(struct world *w, struct stranger *s);
void rude_happens(struct world *w, struct stranger *s, uint32_t which);
void rude_receives(struct world *w, struct stranger *s, const struct coap_message *m);
void forge_answer(struct world *w, struct stranger *s, const struct station *to,
                  const struct coap_message *m);
void rude_check(struct world *w, struct stranger *s);

#endif

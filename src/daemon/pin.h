/*
 * The PIN of an ownership transfer (security.md 4.6): drawn when a tool chooses
 * that method, shown to who stands before the device, and good for few guesses.
 */
#ifndef OCF_DAEMON_PIN_H
#define OCF_DAEMON_PIN_H

#include "base/uuid.h"
#include "security/keys.h"

#define PIN_DIGITS      8
#define PIN_GUESSES_MAX 3u /* wrong ones; then there is another PIN */

struct pin {
        bool is_drawn;
        char digits[PIN_DIGITS + 1];
        uint8_t key[KEY_PSK];
        unsigned n_wrong;
};

/* device: its UUID now, which is part of the key. false: no memory. */
bool pin_draw(struct pin *p, const struct uuid *device);
void pin_forget(struct pin *p); /* wipes it; harmless when there is none */

/* Somebody guessed wrong. Return: whether that was one too many, and it is forgotten. */
bool pin_guessed(struct pin *p);

#endif

#include "daemon/pin.h"
#include "security/cred.h"
#include "security/crypto.h"

/* Each digit as likely as any other: bytes that would favour the small ones are drawn again. */
static char draw_digit(void) {
        uint8_t byte;

        do
                crypto_random(&byte, 1);
        while (byte >= 250);
        return (char)('0' + byte % 10);
}

bool pin_draw(struct pin *p, const struct uuid *device) {
        pin_forget(p);
        for (size_t i = 0; i < PIN_DIGITS; i++)
                p->digits[i] = draw_digit();
        p->is_drawn = key_derive_pin(span_of(p->digits, PIN_DIGITS), device, p->key);
        if (!p->is_drawn)
                pin_forget(p);
        return p->is_drawn;
}

void pin_forget(struct pin *p) {
        secret_wipe(p, sizeof(*p));
}

bool pin_guessed(struct pin *p) {
        if (!p->is_drawn || ++p->n_wrong < PIN_GUESSES_MAX)
                return false;
        pin_forget(p);
        return true;
}

#include "dbus/bus_private.h"

/*
 * What was told of an object's properties, each as a digest, so that a change
 * signal names what is different and nothing else.
 */

#define FNV_PRIME 1099511628211u

static void add(uint64_t *digest, uint8_t byte) {
        *digest = (*digest ^ byte) * FNV_PRIME;
}

void bus_told_number(struct bus_told *t, size_t property, uint64_t number) {
        for (int i = 0; i < 64; i += 8)
                add(&t->digests[property], (uint8_t)(number >> i));
        add(&t->digests[property], 1); /* or zeros would be nothing */
}

void bus_told_text(struct bus_told *t, size_t property, const char *text) {
        for (; *text; text++)
                add(&t->digests[property], (uint8_t)*text);
        bus_told_number(t, property, 0); /* so that two texts are not one */
}

void bus_tell_different(struct bus *b, const char *path, const char *interface, const char *const *names,
                        struct bus_told *told, const struct bus_told *now) {
        char *changed[BUS_TOLD_MAX + 1];
        size_t n = 0;

        for (size_t i = 0; names[i]; i++)
                if (told->digests[i] != now->digests[i])
                        changed[n++] = (char *)names[i];
        changed[n] = NULL;
        *told = *now;
        if (n)
                (void)sd_bus_emit_properties_changed_strv(b->bus, path, interface, changed);
}

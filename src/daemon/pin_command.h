/*
 * PinCommand=: a program of the integrator's that shows a PIN, on whatever
 * display, speaker or printer the device has. It reads the PIN from its standard
 * input: an argument would be there for everybody to see.
 */
#ifndef OCF_DAEMON_PIN_COMMAND_H
#define OCF_DAEMON_PIN_COMMAND_H

#include "base/util.h"

#include <uv.h>

struct pin_command;

#define PIN_COMMAND_MAX_MS 120000u

/* path NULL: there is none, and nothing is ever shown. Kept, not copied. Return: 0; negative errno. */
int pin_command_new(struct pin_command **ret, uv_loop_t *loop, const char *path);
struct pin_command *pin_command_free(struct pin_command *c);

/* Stops what shows an older one. That it cannot be run is told in the journal. */
void pin_command_show(struct pin_command *c, const char *digits);
void pin_command_stop(struct pin_command *c);

#endif

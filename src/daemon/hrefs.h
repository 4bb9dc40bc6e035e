/*
 * The hrefs of the last run.
 *
 * After a restart of ours the apps come back within a second or so; until then
 * requests for what they had get 5.03 instead of 4.04, so that peers try again
 * instead of forgetting us. The list stands in the runtime directory (a tmpfs:
 * a power cut takes it, rightly), written some moments after each change.
 */
#ifndef OCF_DAEMON_HREFS_H
#define OCF_DAEMON_HREFS_H

#include "model/model.h"

#define HREFS_GRACE_MS 10000u /* how long they answer 5.03 */

/* Hands the hrefs of the last run to model_expect(). A file that cannot be read is as if absent. */
int hrefs_load(const char *directory, struct model *m, uint64_t now_ms);

/* Replaces the file. Return: 0; negative errno. */
int hrefs_save(const char *directory, const struct model *m);

#endif

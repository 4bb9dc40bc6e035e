#include "daemon/hrefs.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_NAME "hrefs"

/* A line is a device's index, a space and an href. What does not look like that was not written by us. */
static bool parse_line(char *line, uint16_t *ret_device, struct span *ret_href) {
        char *end;
        unsigned long device = strtoul(line, &end, 10);
        size_t n;

        if (end == line || *end != ' ' || device > UINT16_MAX)
                return false;
        n = strcspn(end + 1, "\n");
        if (end[1] != '/' || n > MODEL_HREF_MAX)
                return false;
        *ret_device = (uint16_t)device;
        *ret_href = span_of(end + 1, n);
        return true;
}

static void file_closep(FILE **f) {
        if (*f)
                fclose(*f);
}

int hrefs_load(const char *directory, struct model *m, uint64_t now_ms) {
        char path[4096], line[MODEL_HREF_MAX + 16];
        OCF_CLEANUP(file_closep) FILE *f = NULL;
        struct span href;
        uint16_t device;

        snprintf(path, sizeof(path), "%s/" FILE_NAME, directory);
        f = fopen(path, "re");
        if (!f)
                return 0;
        while (fgets(line, sizeof(line), f)) {
                int r;

                if (!parse_line(line, &device, &href) || device >= m->n_devices)
                        continue;
                r = model_expect(m, device, href, now_ms + HREFS_GRACE_MS);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool write_all(FILE *f, const struct model *m) {
        for (size_t i = 0; i < m->n_devices; i++)
                LIST_FOR_EACH(j, &m->devices[i]->resources) {
                        const struct resource *r = LIST_ENTRY(j, struct resource, device_link);

                        if (r->app && fprintf(f, "%zu %s\n", i, r->href) < 0)
                                return false;
                }
        /* Those that are still awaited stay on the list: we may be restarted again before their apps are
         * back. */
        LIST_FOR_EACH(i, &m->expected) {
                const struct expected_href *e = LIST_ENTRY(i, struct expected_href, link);

                if (!model_resource_find(m, e->device, span_of_string(e->href)) &&
                    fprintf(f, "%u %s\n", e->device, e->href) < 0)
                        return false;
        }
        return fflush(f) == 0;
}

int hrefs_save(const char *directory, const struct model *m) {
        char path[4096], temporary[4096];
        FILE *f;
        int r = 0;

        if (mkdir(directory, 0755) < 0 && errno != EEXIST)
                return -errno;
        snprintf(path, sizeof(path), "%s/" FILE_NAME, directory);
        if ((size_t)snprintf(temporary, sizeof(temporary), "%s/." FILE_NAME ".new", directory) >=
            sizeof(temporary))
                return -ENAMETOOLONG;
        f = fopen(temporary, "we");
        if (!f)
                return -errno;
        if (!write_all(f, m))
                r = errno ? -errno : -EIO;
        fclose(f);
        if (!r && rename(temporary, path) < 0)
                r = -errno;
        if (r)
                (void)remove(temporary);
        return r;
}

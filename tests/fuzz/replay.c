/*
 * A fuzz target without a fuzzer: each file of the folders named on the command
 * line once, and each of its beginnings, so that every truncation is tried too.
 */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

#define FILE_MAX 65536

static int replay(const char *path) {
        static uint8_t bytes[FILE_MAX];
        FILE *f = fopen(path, "rb");
        size_t n;

        if (!f) {
                perror(path);
                return 1;
        }
        n = fread(bytes, 1, sizeof(bytes), f);
        fclose(f);
        for (size_t i = 0; i <= n; i++)
                (void)LLVMFuzzerTestOneInput(bytes, i);
        return 0;
}

static int replay_folder(const char *folder, unsigned *n_files) {
        DIR *d = opendir(folder);
        struct dirent *entry;
        char path[4096];
        int r = 0;

        if (!d) {
                perror(folder);
                return 1;
        }
        while ((entry = readdir(d))) {
                if (entry->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
                r |= replay(path);
                ++*n_files;
        }
        closedir(d);
        return r;
}

int main(int argc, char **argv) {
        unsigned n_files = 0;
        int r = 0;

        for (int i = 1; i < argc; i++)
                r |= replay_folder(argv[i], &n_files);
        printf("%u files and all their beginnings\n", n_files);
        return r || !n_files;
}

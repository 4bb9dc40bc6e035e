/*
 * INI files: sections, keys and values with their lines, read by inih. What
 * inih would pass over (a line too long, bytes that are no text, a section
 * without keys) is told here, since half a configuration is worse than none.
 */
#ifndef OCF_DAEMON_INI_FILE_H
#define OCF_DAEMON_INI_FILE_H

#include "base/util.h"

#include <stdio.h>

struct ini_entry {
        const char *file;
        int line;
        const char *section;
        const char *key, *value; /* NULL: a section begins; all of these come before all keys */
};

/*
 * Reads a file. taken() gets each entry and returns NULL, or what is wrong with
 * it, as a sentence; told() gets each mistake as "file:line: sentence". Return:
 * 0; INI_E_INVALID when something was told; negative errno when it cannot be read.
 */
enum { INI_E_INVALID = 1 };
typedef const char *(*ini_taken)(void *context, const struct ini_entry *entry);
typedef void (*ini_told)(void *context, const char *message);
int ini_read(const char *file, ini_taken taken, ini_told told, void *context, void *told_context);

/* All *.conf of a directory in the order of their names; an absent one is empty. */
int ini_read_directory(const char *directory, ini_taken taken, ini_told told, void *context,
                       void *told_context);

/* Values. */
bool ini_bool(const char *value, bool *ret);                  /* yes no true false on off 1 0 */
int ini_words(const char *value, char ***ret, size_t *ret_n); /* split at white space; 0, -ENOMEM */
void ini_words_free(char **words, size_t n);

#endif

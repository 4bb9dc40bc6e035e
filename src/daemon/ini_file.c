#include "daemon/ini_file.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define FILE_MAX  (256 * 1024)
#define LINE_MAX_ 180 /* Debian's inih cuts lines at 200 bytes, silently */

struct reading {
        const char *file;
        ini_taken taken;
        ini_told told;
        void *context, *told_context;
        const char *text;
        bool any_mistake;
        int line; /* where the last entry was found */
};

static void tell(struct reading *r, int line, const char *what) {
        char message[1024];

        snprintf(message, sizeof(message), "%s:%d: %s", r->file, line, what);
        r->told(r->told_context, message);
        r->any_mistake = true;
}

static bool is_assignment_of(const char *line, const char *key) {
        size_t n = strlen(key);

        return strncmp(line, key, n) == 0 && strchr("=:", *(line + n + strspn(line + n, " \t")) ?: ' ');
}

/* inih gives entries without their lines; they come in order, so it is the next line that sets the key. */
static int line_of(struct reading *r, const char *key) {
        const char *at = r->text;
        int line = 1;

        for (; *at; line++) {
                const char *end = strchrnul(at, '\n');

                if (line > r->line && is_assignment_of(at, key))
                        return line;
                at = *end ? end + 1 : end;
        }
        return r->line;
}

static int on_entry(void *user, const char *section, const char *key, const char *value) {
        struct reading *r = user;
        struct ini_entry e = { .file = r->file, .section = section, .key = key, .value = value };
        const char *wrong;

        e.line = r->line = line_of(r, key);
        wrong = r->taken(r->context, &e);
        if (wrong)
                tell(r, e.line, wrong);
        return 1;
}

static char *read_whole(const char *file, size_t *ret_n, int *ret_error) {
        FILE *f = fopen(file, "re");
        char *text = f ? ocf_allocate(FILE_MAX + 1, 1) : NULL;

        *ret_error = f ? text ? 0 : -ENOMEM : -errno;
        if (text) {
                *ret_n = fread(text, 1, FILE_MAX + 1, f);
                if (ferror(f))
                        *ret_error = -EISDIR;
        }
        if (f)
                fclose(f);
        if (*ret_error) {
                ocf_free(text);
                return NULL;
        }
        return text;
}

static bool is_control(const char *c) {
        return (uint8_t)*c < 0x20 ? *c != '\t' && !(*c == '\r' && c[1] == '\n') : *c == 0x7f;
}

/* What inih would not notice in a line; NULL: nothing. */
static const char *line_flaw(const char *line, size_t n) {
        const char *end;

        for (size_t i = 0; i < n; i++)
                if (is_control(line + i))
                        return "The line has a control character";
        if (n > LINE_MAX_)
                return "The line is longer than 180 bytes: shorten it";
        if (line[0] == '[') {
                end = memchr(line, ']', n);
                if (!end)
                        return "The name of a section ends with ]";
                end += 1 + strspn(end + 1, " \t\r");
                if (*end && !strchr("\n;#", *end))
                        return "Something stands behind the ] of a section: put it on a line of its own";
        }
        return NULL;
}

/* inih says nothing of a section without keys. */
static void begin_section(struct reading *r, int line, const char *text) {
        char name[LINE_MAX_ + 1];
        struct ini_entry e = { .file = r->file, .line = line, .section = name };
        const char *wrong;

        snprintf(name, sizeof(name), "%.*s", (int)strcspn(text + 1, "]\n"), text + 1);
        wrong = r->taken(r->context, &e);
        if (wrong)
                tell(r, line, wrong);
}

/*
 * Takes the indentation away, since an indented line is to inih more of the value before it, and looks at
 * each line.
 */
static bool prepare_lines(struct reading *r, char *text) {
        char *to = text;

        for (int line = 1; *text; line++) {
                char *start = text + strspn(text, " \t"), *end = strchrnul(start, '\n');
                size_t n = (size_t)(end - start);
                const char *wrong = line_flaw(start, n);

                if (wrong) {
                        tell(r, line, wrong);
                        return false;
                }
                if (*start == '[')
                        begin_section(r, line, start);
                text = *end ? end + 1 : end;
                memmove(to, start, (size_t)(text - start));
                to += text - start;
        }
        *to = 0;
        return true;
}

static bool prepare(struct reading *r, char *text, size_t n) {
        static const char mark[] = "\xef\xbb\xbf"; /* some editors begin UTF-8 with it */

        if (n > FILE_MAX) {
                tell(r, 1, "The file is larger than 256 KiB: this is no configuration");
                return false;
        }
        if (memchr(text, 0, n) || !utf8_is_valid(span_of(text, n), UTF8_ANY)) {
                tell(r, 1, "The file is no text in UTF-8");
                return false;
        }
        return prepare_lines(r, strncmp(text, mark, 3) == 0 ? memmove(text, text + 3, n - 2) : text);
}

int ini_read(const char *file, ini_taken taken, ini_told told, void *context, void *told_context) {
        struct reading r = {
                .file = file, .taken = taken, .told = told, .context = context, .told_context = told_context
        };
        int error, line;
        size_t n = 0;
        char *text = read_whole(file, &n, &error);

        if (!text)
                return error;
        r.text = text;
        if (prepare(&r, text, n)) {
                line = ini_parse_string(text, on_entry, &r);
                if (line > 0)
                        tell(&r, line, "This is neither [Section] nor Key=Value nor a comment (#)");
                else if (line < 0)
                        error = -ENOMEM;
        }
        ocf_free(text);
        return error ? error : r.any_mistake ? INI_E_INVALID : 0;
}

static int is_conf(const struct dirent *e) {
        size_t n = strlen(e->d_name);

        return n > 5 && e->d_name[0] != '.' && strcmp(e->d_name + n - 5, ".conf") == 0;
}

int ini_read_directory(const char *directory, ini_taken taken, ini_told told, void *context,
                       void *told_context) {
        struct dirent **entries;
        int n = scandir(directory, &entries, is_conf, alphasort), result = 0, r;

        if (n < 0)
                return errno == ENOENT ? 0 : -errno;
        for (int i = 0; i < n; i++) {
                char file[4096];

                snprintf(file, sizeof(file), "%s/%s", directory, entries[i]->d_name);
                r = ini_read(file, taken, told, context, told_context);
                if (r < 0) {
                        char message[4400];

                        snprintf(message, sizeof(message), "%s: %s", file, strerror(-r));
                        told(told_context, message);
                        r = INI_E_INVALID; /* rules and settings must not be half there */
                }
                if (r)
                        result = r;
                free(entries[i]);
        }
        free(entries);
        return result;
}

bool ini_bool(const char *value, bool *ret) {
        static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcasecmp(value, words[i]) == 0) {
                        *ret = i & 1;
                        return true;
                }
        return false;
}

void ini_words_free(char **words, size_t n) {
        for (size_t i = 0; i < n; i++)
                ocf_free(words[i]);
        ocf_free(words);
}

int ini_words(const char *value, char ***ret, size_t *ret_n) {
        char **words = NULL;
        size_t n = 0;

        while (*(value += strspn(value, " \t"))) {
                size_t n_word = strcspn(value, " \t");

                if (!ocf_grow((void **)&words, n, n + 1, sizeof(*words)) ||
                    !(words[n] = ocf_duplicate_span_as_string(span_of(value, n_word)))) {
                        ini_words_free(words, n);
                        return -ENOMEM;
                }
                n++;
                value += n_word;
        }
        *ret = words;
        *ret_n = n;
        return 0;
}

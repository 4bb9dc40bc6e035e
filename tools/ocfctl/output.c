/*
 * What goes out: JSON, tables, words. Nothing that others wrote speaks to the
 * terminal.
 */
#include "base/memory.h"
#include "ctl.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- words ---- */

static bool has_colours(void) {
        const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

        return isatty(STDOUT_FILENO) && (!no || !no[0]) && term && strcmp(term, "dumb") != 0;
}

const char *bold(void) {
        return has_colours() ? "\033[1m" : "";
}

const char *dim(void) {
        return has_colours() ? "\033[2m" : "";
}

const char *plain(void) {
        return has_colours() ? "\033[0m" : "";
}

/* What comes from the network or from an app shall not speak to the terminal: control characters are shown as
 * JSON has them, the old ones and those of ISO 6429 that are two bytes in UTF-8. */
static void put_text(FILE *f, const char *text) {
        for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
                if (*s < 0x20 || *s == 0x7f)
                        fprintf(f, "\\u%04x", (unsigned)*s);
                else if (*s == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0)
                        fprintf(f, "\\u%04x", (unsigned)*++s);
                else
                        fputc(*s, f);
        }
}

static void say(const char *lead, const char *format, va_list args) OCF_PRINTF(2, 0);
static void say(const char *lead, const char *format, va_list args) {
        char text[2048];

        vsnprintf(text, sizeof(text), format, args);
        fputs(lead, stderr);
        put_text(stderr, text);
        fputc('\n', stderr);
}

void hint(const struct ctl *c, const char *format, ...) {
        va_list args;

        if (c->is_quiet)
                return;
        va_start(args, format);
        say("Hint: ", format, args);
        va_end(args);
}

void remark(const struct ctl *c, const char *format, ...) {
        va_list args;

        if (c->is_quiet)
                return;
        va_start(args, format);
        say("", format, args);
        va_end(args);
}

void complain(const struct ctl *c, const char *format, ...) {
        va_list args;

        va_start(args, format);
        say("ocfctl: ", format, args);
        va_end(args);
}

int flush_output(int exit_code) {
        if (fflush(stdout) == 0 && !ferror(stdout))
                return exit_code;
        return exit_code ? exit_code : EXIT_FAILED;
}

/* ---- JSON ---- */

static int print(json_t *json_take, size_t flags) {
        int r = json_dumpf(json_take, stdout, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

        json_decref(json_take);
        putchar('\n');
        return flush_output(r ? EXIT_FAILED : EXIT_OK);
}

int print_json(const struct ctl *c, json_t *json_take) {
        return print(json_take, isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT);
}

int print_json_line(json_t *json_take) {
        return print(json_take, JSON_COMPACT);
}

/* ---- values for people ---- */

void print_text(const char *text) {
        put_text(stdout, text);
}

static void print_item(const json_t *item) {
        char *text;

        if (json_is_string(item) && strlen(json_string_value(item)) == json_string_length(item)) {
                print_text(json_string_value(item));
                return;
        }
        text = json_dumps(item, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        print_text(text ? text : "?");
        free(text);
}

void print_value(const json_t *value) {
        const char *key;
        json_t *item;
        void *i;

        if (!json_is_object(value)) {
                print_item(value);
                putchar('\n');
                return;
        }
        for (i = json_object_iter((json_t *)value); i; i = json_object_iter_next((json_t *)value, i)) {
                key = json_object_iter_key(i);
                item = json_object_iter_value(i);
                print_text(key);
                printf(": ");
                print_item(item);
                putchar('\n');
        }
}

void print_pairs(const json_t *value) {
        const char *space = "";

        if (!json_is_object(value)) {
                print_item(value);
                return;
        }
        for (void *i = json_object_iter((json_t *)value); i; i = json_object_iter_next((json_t *)value, i)) {
                printf("%s", space);
                print_text(json_object_iter_key(i));
                putchar('=');
                print_item(json_object_iter_value(i));
                space = " ";
        }
}

/* ---- tables ---- */

struct table {
        size_t n_columns, n_rows;
        bool has_legend;
        char **cells; /* the first row is the legend */
};

static size_t width(const char *s) {
        size_t n = 0;

        for (; *s; s++)
                n += ((unsigned char)*s & 0xc0) != 0x80; /* a character, not a byte of it */
        return n;
}

void table_row(struct table *t, const char *const *cells) {
        size_t n = t->n_rows * t->n_columns;

        if (!ocf_grow((void **)&t->cells, n, n + t->n_columns, sizeof(char *)))
                abort();
        for (size_t i = 0; i < t->n_columns; i++) {
                t->cells[n + i] = ocf_duplicate_string(cells[i][0] ? cells[i] : "-");
                if (!t->cells[n + i])
                        abort();
        }
        t->n_rows++;
}

struct table *table_new(const struct ctl *c, const char *const *headers, size_t n_columns) {
        struct table *t = ocf_new(struct table);

        if (!t)
                abort();
        t->n_columns = n_columns;
        t->has_legend = c->has_legend;
        table_row(t, headers);
        return t;
}

static void print_row(const struct table *t, size_t row, const size_t *widths) {
        for (size_t i = 0; i < t->n_columns; i++) {
                const char *cell = t->cells[row * t->n_columns + i];

                print_text(cell);
                if (i + 1 < t->n_columns)
                        printf("%*s", (int)(widths[i] - width(cell) + 2), "");
        }
        putchar('\n');
}

void table_print(struct table *t) {
        size_t first = t->has_legend ? 0 : 1, widths[8] = { 0 };

        assert(t->n_columns <= ARRAY_SIZE(widths));
        for (size_t i = first * t->n_columns; i < t->n_rows * t->n_columns; i++)
                if (width(t->cells[i]) > widths[i % t->n_columns])
                        widths[i % t->n_columns] = width(t->cells[i]);
        for (size_t row = first; row < t->n_rows; row++) {
                printf("%s", row ? "" : bold());
                print_row(t, row, widths);
                printf("%s", row ? "" : plain());
        }
        for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
                ocf_free(t->cells[i]);
        ocf_free(t->cells);
        ocf_free(t);
}

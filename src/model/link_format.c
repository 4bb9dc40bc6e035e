#include "model/link_format.h"

#include <stdio.h>
#include <string.h>

static bool is_alphanumeric(uint8_t c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_one_of(uint8_t c, const char *set) {
        return c && strchr(set, c);
}

/* ---- writing ---- */

static void put(struct writer *w, const char *s) {
        writer_put_span(w, span_of_string(s));
}

void link_put_path(struct writer *w, const char *path) {
        static const char digits[] = "0123456789ABCDEF";

        for (; *path; path++) {
                uint8_t c = (uint8_t)*path;

                if (is_alphanumeric(c) || is_one_of(c, "-._~!$&'()*+,;=:@/")) {
                        writer_put_u8(w, c);
                        continue;
                }
                writer_put_u8(w, '%');
                writer_put_u8(w, (uint8_t)digits[c >> 4]);
                writer_put_u8(w, (uint8_t)digits[c & 15]);
        }
}

void link_begin(struct writer *w, const char *path) {
        put(w, w->n ? ",<" : "<");
        link_put_path(w, path);
        put(w, ">");
}

void link_put_flag(struct writer *w, const char *name) {
        put(w, ";");
        put(w, name);
}

void link_put_number(struct writer *w, const char *name, uint64_t v) {
        char text[24];

        snprintf(text, sizeof(text), "=%llu", (unsigned long long)v);
        link_put_flag(w, name);
        put(w, text);
}

static bool is_control(uint8_t c) {
        return c < 0x20 || c == 0x7f;
}

/* A quoted-string (RFC 2616, 2.2) has neither quotes nor backslashes nor controls but behind a backslash. */
static void put_escaped(struct writer *w, const char *s) {
        for (; *s; s++) {
                if (*s == '"' || *s == '\\' || is_control((uint8_t)*s))
                        writer_put_u8(w, '\\');
                writer_put_u8(w, (uint8_t)*s);
        }
}

void link_put_quoted(struct writer *w, const char *name, const char *value) {
        link_begin_words(w, name);
        put_escaped(w, value);
        link_end_words(w);
}

void link_begin_words(struct writer *w, const char *name) {
        link_put_flag(w, name);
        put(w, "=\"");
}

void link_put_word(struct writer *w, const char *word) {
        bool is_first = w->n >= 2 && w->data[w->n - 2] == '=' && w->data[w->n - 1] == '"';

        if (!is_first) /* a quote of a word before would have a backslash in front */
                put(w, " ");
        put_escaped(w, word);
}

void link_end_words(struct writer *w) {
        put(w, "\"");
}

/* ---- reading ---- */

static bool take(struct span *s, uint8_t c) {
        if (!s->n || s->data[0] != c)
                return false;
        s->data++;
        s->n--;
        return true;
}

/* What stands in front as long as each of it is allowed; maybe nothing. */
static struct span take_while(struct span *s, bool (*is_allowed)(uint8_t c)) {
        struct span taken = { s->data, 0 };

        while (s->n && is_allowed(s->data[0])) {
                taken.n++;
                s->data++;
                s->n--;
        }
        return taken;
}

/* Characters of a URI (RFC 3986, 2), which ">" is not. */
static bool is_uri_char(uint8_t c) {
        return is_alphanumeric(c) || is_one_of(c, "-._~:/?#[]@!$&'()*+,;=%");
}

static bool is_name_char(uint8_t c) { /* attr-char of RFC 5987, and the star at the end of extended ones */
        return is_alphanumeric(c) || is_one_of(c, "!#$&+-.^_`|~*");
}

static bool is_token_char(uint8_t c) { /* ptokenchar of RFC 6690, 2 */
        return is_alphanumeric(c) || is_one_of(c, "!#$%&'()*+-./:<=>?@[]^_`{|}~");
}

static bool take_quoted(struct span *s, struct span *ret) {
        struct span taken = { s->data, 0 };
        uint8_t c;

        while (span_take_u8(s, &c)) {
                if (c == '"') {
                        *ret = taken;
                        return true;
                }
                if (c == '\\') {
                        if (!span_take_u8(s, &c) || c > 0x7f)
                                return false;
                        taken.n++;
                } else if (is_control(c) && c != '\t') {
                        return false;
                }
                taken.n++;
        }
        return false;
}

bool link_param_next(struct span *params, struct link_param *ret) {
        struct link_param p = { 0 };
        struct span rest = *params;

        if (!take(&rest, ';'))
                return false;
        p.name = take_while(&rest, is_name_char);
        if (!p.name.n)
                return false;
        if (take(&rest, '=')) {
                if (take(&rest, '"')) {
                        p.is_quoted = true;
                        if (!take_quoted(&rest, &p.value))
                                return false;
                } else {
                        p.value = take_while(&rest, is_token_char);
                        if (!p.value.n)
                                return false;
                }
        }
        *params = rest;
        *ret = p;
        return true;
}

int link_next(struct span *links, struct span *ret_target, struct span *ret_params) {
        struct span rest = *links, target, params;
        struct link_param p;

        if (!rest.n)
                return LINK_E_END;
        if (!take(&rest, '<'))
                return LINK_E_MALFORMED;
        target = take_while(&rest, is_uri_char);
        if (!take(&rest, '>'))
                return LINK_E_MALFORMED;
        params = rest;
        while (link_param_next(&rest, &p))
                ;
        params.n -= rest.n;
        if (rest.n && (!take(&rest, ',') || !rest.n))
                return LINK_E_MALFORMED;
        *links = rest;
        *ret_target = target;
        *ret_params = params;
        return 0;
}

void link_unquote(struct span quoted, struct writer *out) {
        uint8_t c;

        while (span_take_u8(&quoted, &c)) {
                if (c == '\\')
                        (void)span_take_u8(&quoted, &c);
                writer_put_u8(out, c);
        }
}

/* ---- filtering ---- */

bool link_matches(struct span value, struct span pattern) {
        if (pattern.n && pattern.data[pattern.n - 1] == '*')
                return span_has_prefix(value, span_of(pattern.data, pattern.n - 1));
        return span_equal(value, pattern);
}

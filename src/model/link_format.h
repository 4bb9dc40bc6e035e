/*
 * Links as text: the CoRE Link Format (RFC 6690), written and read.
 *
 *     </lamp>;rt="oic.r.switch.binary";title="By the \"window\"";obs,</oic/d>;...
 *
 * Written as strict as the grammar is; read as strictly too, since what a peer
 * says is believed by somebody. A value in quotes is read as it stands, and
 * link_unquote() takes the backslashes out.
 */
#ifndef OCF_MODEL_LINK_FORMAT_H
#define OCF_MODEL_LINK_FORMAT_H

#include "base/span.h"

/* ---- writing; overflow is remembered in the writer ---- */

/* The path of a URI: what no path may have is percent-encoded (RFC 3986, 3.3). */
void link_put_path(struct writer *w, const char *path);

void link_begin(struct writer *w, const char *path); /* with a comma where a link stands before it */
void link_put_flag(struct writer *w, const char *name);
void link_put_number(struct writer *w, const char *name, uint64_t v);
void link_put_quoted(struct writer *w, const char *name, const char *value);

/* Several words as one value: begin, words, end. */
void link_begin_words(struct writer *w, const char *name);
void link_put_word(struct writer *w, const char *word);
void link_end_words(struct writer *w);

/* ---- reading ---- */

enum { LINK_E_END = 1, LINK_E_MALFORMED };

struct link_param {
        struct span name, value; /* value.data NULL: a flag */
        bool is_quoted;
};

/* Takes the next link. Return: 0; LINK_E_END; LINK_E_MALFORMED, also when one of its parameters is. */
int link_next(struct span *links, struct span *ret_target, struct span *ret_params);

/* Takes the next parameter of a link that link_next() gave. */
bool link_param_next(struct span *params, struct link_param *ret);

void link_unquote(struct span quoted, struct writer *out);

/* ---- filtering (RFC 6690, 4.1) ---- */

/* Is value what a query asks for? A pattern that ends in "*" asks for what begins like it. */
bool link_matches(struct span value, struct span pattern);

#endif

/*
 * Is this text? Well-formed UTF-8 after RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF. NUL is text here; who cannot carry it
 * (D-Bus) asks with UTF8_BUS, which also refuses the noncharacters.
 */
#ifndef OCF_BASE_UTF8_H
#define OCF_BASE_UTF8_H

#include "base/span.h"

enum utf8_kind { UTF8_ANY, UTF8_BUS };

bool utf8_is_valid(struct span s, enum utf8_kind kind);

#endif

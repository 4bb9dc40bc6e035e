/* What every unit test includes first: cmocka wants these before itself. */
#ifndef OCF_TESTS_UNIT_H
#define OCF_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#endif

/*
 * What the two files that know SQL share.
 */
#ifndef OCF_DAEMON_STORE_DB_PRIVATE_H
#define OCF_DAEMON_STORE_DB_PRIVATE_H

#include "daemon/store_private.h"

#define STORE_APPLICATION_ID 0x6f636664 /* "ocfd" */
#define STORE_SCHEMA_VERSION 2

int store_db_outcome(sqlite3 *db, int code);
int store_db_run(sqlite3 *db, const char *sql);
int store_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret);

#endif

/*
 * Message ids: what happened, for who searches the journal. data/ocfd.catalog
 * has a paragraph for each.
 */
#ifndef OCF_DAEMON_DIAG_IDS_H
#define OCF_DAEMON_DIAG_IDS_H

#define DIAG_ID_STARTED        "3f1c52d1a64e4b0d9a3d5b6a7c1e0f21"
#define DIAG_ID_STOPPING       "8c0f4ee0d5ab4d3f8d7a1b94c2e6f733"
#define DIAG_ID_NOTICE         "5a7be2c94f7d4f0ea1c3d8e2b6f09145"
#define DIAG_ID_APP_REGISTERED "b1d9a7f36c8e4ce5b0f2a4d6e8c01357"
#define DIAG_ID_APP_VANISHED   "e27c41a85d9b4f63a8e0c2b4d6f81369"
#define DIAG_ID_APP_REFUSED    "0d6f83b2c7e54a19bd5e7f9012c3a48b"
#define DIAG_ID_ACCESS_DENIED  "94ab0e6d3c5f47289f1d3b5d7e9a024c"
#define DIAG_ID_BUS            "c58d2e7fa1b34960b2d4f6081a3c5e7d"
#define DIAG_ID_SURPRISE       "fa4d60c1928b4e37a6c8e0d2f4b1539f"

#endif

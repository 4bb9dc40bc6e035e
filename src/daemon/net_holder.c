#include "daemon/net_holder.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* libmnl's macros convert between long and int as they please. */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"

struct holder {
        uint16_t port;
        bool found, is_wildcard;
        uint32_t uid, inode;
};

/* Has this process the socket among its descriptors? Only where we may look. */
static bool has_socket(const char *pid, const char *wanted) {
        char path[64 + 256], link[64];
        struct dirent *e;
        bool found = false;
        DIR *d;

        snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
        d = opendir(path);
        while (d && !found && (e = readdir(d))) {
                ssize_t n;

                snprintf(path, sizeof(path), "/proc/%.20s/fd/%.20s", pid, e->d_name);
                n = readlink(path, link, sizeof(link) - 1);
                if (n > 0) {
                        link[n] = 0;
                        found = strcmp(link, wanted) == 0;
                }
        }
        if (d)
                closedir(d);
        return found;
}

static bool is_ours(uint32_t inode) {
        char wanted[64];

        snprintf(wanted, sizeof(wanted), "socket:[%u]", inode);
        return has_socket("self", wanted);
}

/* One that holds all addresses stands in our way more than one that holds its own. */
static int on_socket(const struct nlmsghdr *h, void *context) {
        static const uint32_t any[4];
        const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
        struct holder *holder = context;
        bool is_wildcard;

        if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) || ntohs(m->id.idiag_sport) != holder->port)
                return MNL_CB_OK;
        is_wildcard = memcmp(m->id.idiag_src, any, m->idiag_family == AF_INET ? 4 : 16) == 0;
        if ((holder->found && (holder->is_wildcard || !is_wildcard)) || is_ours(m->idiag_inode))
                return MNL_CB_OK;
        holder->found = true;
        holder->is_wildcard = is_wildcard;
        holder->uid = m->idiag_uid;
        holder->inode = m->idiag_inode;
        return MNL_CB_OK;
}

static void look_up(struct holder *holder, uint8_t family) {
        struct mnl_socket *s = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
        struct timeval patience = { .tv_sec = 1 };
        uint8_t buf[8192];
        struct nlmsghdr *h = mnl_nlmsg_put_header(memset(buf, 0, sizeof(buf)));
        struct inet_diag_req_v2 *q;
        ssize_t n = 1;

        if (!s)
                return;
        h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
        h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        h->nlmsg_seq = 1;
        q = mnl_nlmsg_put_extra_header(h, sizeof(*q));
        q->sdiag_family = family;
        q->sdiag_protocol = IPPROTO_UDP;
        q->idiag_states = UINT32_MAX;
        (void)setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        if (mnl_socket_sendto(s, h, h->nlmsg_len) >= 0)
                while (n > 0) {
                        n = mnl_socket_recvfrom(s, buf, sizeof(buf));
                        if (n > 0 && mnl_cb_run(buf, (size_t)n, 1, 0, on_socket, holder) <= MNL_CB_STOP)
                                break;
                }
        mnl_socket_close(s);
}

static bool find_process(uint32_t inode, char *ret_pid, size_t n_pid) {
        char wanted[64];
        struct dirent *e;
        bool found = false;
        DIR *d = opendir("/proc");

        snprintf(wanted, sizeof(wanted), "socket:[%u]", inode);
        while (d && !found && (e = readdir(d)))
                if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && has_socket(e->d_name, wanted)) {
                        snprintf(ret_pid, n_pid, "%.20s", e->d_name);
                        found = true;
                }
        if (d)
                closedir(d);
        return found;
}

static void read_command(const char *pid, char *ret, size_t n) {
        char path[64];
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
        f = fopen(path, "re");
        if (!f || !fgets(ret, (int)n, f))
                snprintf(ret, n, "?");
        ret[strcspn(ret, "\n")] = 0;
        if (f)
                fclose(f);
}

const char *net_holder_describe(int family, uint16_t udp_port, char *buf, size_t n_buf) {
        struct holder holder = { .port = udp_port };
        char pid[24], command[32], user[64];
        struct passwd *pw;

        look_up(&holder, (uint8_t)family);
        if (!holder.found)
                look_up(&holder, family == AF_INET ? AF_INET6 : AF_INET);
        if (!holder.found) {
                snprintf(buf, n_buf, "somebody");
                return buf;
        }
        pw = getpwuid(holder.uid);
        if (pw)
                snprintf(user, sizeof(user), "%.60s", pw->pw_name);
        else
                snprintf(user, sizeof(user), "%u", holder.uid);
        if (find_process(holder.inode, pid, sizeof(pid))) {
                read_command(pid, command, sizeof(command));
                snprintf(buf, n_buf, "user %s (pid %s, %s)", user, pid, command);
        } else {
                snprintf(buf, n_buf, "user %s", user);
        }
        return buf;
}

// SPDX-License-Identifier: Apache-2.0
// What the modules need of C: libmnl, the kernel's uapi headers and a few POSIX calls.
// Swift imports neither function-like macros nor variadic functions nor errno, so each of those
// that is needed has a `static inline` function here, whose name begins with humanz_.
#pragma once

#define _GNU_SOURCE
#include <features.h>
// With X/Open the member of fd_set has another name than in the toolchain's own C modules. Swift then refuses to
// import both, as happens with Foundation or Dispatch.
#undef __USE_XOPEN

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
// Before the kernel's headers: they then leave out what both define.
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/lwtunnel.h>
#include <linux/magic.h>
#include <linux/neighbour.h>
#include <linux/net_namespace.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

/// errno
static inline int humanz_errno(void) { return errno; }

/// errno = number
static inline void humanz_set_errno(int number) { errno = number; }

/// openat(directory, path, flags | O_CLOEXEC, mode)
static inline int humanz_openat(int directory, const char *path, int flags, mode_t mode) {
  return openat(directory, path, flags | O_CLOEXEC, mode);
}

/// open(path, flags | O_CLOEXEC, mode). (musl's `open` sets close-on-exec by a second system call.)
static inline int humanz_open(const char *path, int flags, mode_t mode) {
  return humanz_openat(AT_FDCWD, path, flags, mode);
}

/// signal(number, SIG_IGN)
static inline void humanz_signal_ignore(int number) { signal(number, SIG_IGN); }

/// signal(number, SIG_DFL)
static inline void humanz_signal_default(int number) { signal(number, SIG_DFL); }

/// signal(number, handler), but no system call is resumed after it. (The member of `struct sigaction`
/// has another name in each C library.)
static inline void humanz_signal_interrupt(int number, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler};
  sigaction(number, &action, NULL);
}

/// sigaction(number, {handler, SA_NODEFER}) for each signal that a trap or a fault of the process itself sends.
/// A second signal inside the handler calls the handler again.
static inline void humanz_catch_traps(void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER};
  static const unsigned char signals[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT};
  for (unsigned i = 0; i < sizeof signals; i++) sigaction(signals[i], &action, NULL);
}

/// sigprocmask(SIG_BLOCK, {SIGTERM, SIGINT}), and signalfd for the two
static inline int humanz_termination_signals(void) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

// glibc makes these values of an enumeration, musl integers.
static const int humanz_sock_cloexec = SOCK_CLOEXEC;
static const int humanz_sock_nonblock = SOCK_NONBLOCK;
static const int humanz_sock_raw = SOCK_RAW;

/// sendto(new socket, bytes, count, journald's address), without waiting. Source: systemd's "Native Journal
/// Protocol"
static inline void humanz_send_to_journal(const void *bytes, size_t count) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
  int file = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (file < 0) return;
  sendto(file, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address, sizeof address);
  close(file);
}

/// bind(socket, address of the netlink groups, its size). (glibc declares the address with a type of its own.)
static inline int humanz_bind_netlink(int socket, uint32_t groups) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
  return bind(socket, (const struct sockaddr *)&address, sizeof address);
}

/// recvmsg(socket, bytes, count), for a netlink socket; a longer message gives ENOSPC. Messages of other
/// processes are skipped: one with CAP_NET_ADMIN in a pod's network namespace can send to a socket in it.
static inline ssize_t humanz_receive_from_kernel(int socket, void *bytes, size_t count) {
  struct sockaddr_nl sender = {0};
  struct iovec part = {bytes, count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  ssize_t size;
  do {
    sender.nl_pid = 0;
    message.msg_name = &sender;
    message.msg_namelen = sizeof sender;
    message.msg_flags = 0;
    size = recvmsg(socket, &message, 0);
  } while (size >= 0 && sender.nl_pid != 0);
  if (size >= 0 && message.msg_flags & MSG_TRUNC) {
    errno = ENOSPC;
    return -1;
  }
  return size;
}

/// connect(socket, the kernel): a message of any other sender is refused
static inline int humanz_connect_to_kernel(int socket) {
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  return connect(socket, (struct sockaddr *)&kernel, sizeof kernel);
}

/// openat2(directory, path, {flags | O_CLOEXEC, 0, resolve}); ENOSYS before Linux 5.6
static inline int humanz_openat2(int directory, const char *path, int flags, uint64_t resolve) {
  struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve};
  return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

/// entry->d_name
static inline const char *humanz_dirent_name(const struct dirent *entry) { return entry->d_name; }

#ifdef HUMANZ_STATIC
extern char humanz_heap[];

/// 1 MiB of zeros after the program's data (Scripts/static-layout.ld)
static inline void *humanz_first_chunk(void) { return humanz_heap; }
#endif

/// environ
static inline char **humanz_environ(void) { return environ; }

/// ioctl(descriptor, NS_GET_NSTYPE): a CLONE_NEW constant, or -1
static inline int humanz_namespace_type(int descriptor) {
  return ioctl(descriptor, NS_GET_NSTYPE);
}

/// fork()
static inline pid_t humanz_fork(void) { return fork(); }

/// close_range(first, last, 0); ENOSYS before Linux 5.9
static inline int humanz_close_range(unsigned int first, unsigned int last) {
  return (int)syscall(SYS_close_range, first, last, 0);
}

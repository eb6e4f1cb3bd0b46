// SPDX-License-Identifier: Apache-2.0
// floor: the cost of an attachment in the kernel alone.
//
// Makes the kernel objects that the three stages make for one pod, with the same messages, in one process
// that reads no configuration, keeps no lease and prints nothing. It takes a plugin's environment:
//
//   CNI_COMMAND=ADD CNI_CONTAINERID=bench-7 CNI_NETNS=/run/netns/pod-7 CNI_IFNAME=eth0 floor
//
// The pod's address and MACs follow from the number at the end of the container ID.

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>

static const char bridge_name[] = "cni0";
static const uint32_t gateway = 0x64640001;  // 100.100.0.1
static const uint8_t prefix_length = 24;

/// Messages under construction, to be sent and acknowledged together.
struct batch {
  char bytes[8192];
  size_t length;
  unsigned count;
};

static struct nlmsghdr *put_request(struct batch *batch, uint16_t type, uint16_t flags) {
  struct nlmsghdr *message = mnl_nlmsg_put_header(batch->bytes + batch->length);
  message->nlmsg_type = type;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
  message->nlmsg_seq = ++batch->count;
  return message;
}

static void end_request(struct batch *batch, struct nlmsghdr *message) {
  batch->length += NLMSG_ALIGN(message->nlmsg_len);
}

/// One write, and one read for each acknowledgement.
static void send_batch(struct mnl_socket *socket, struct batch *batch, const char *what) {
  char answer[8192];
  if (mnl_socket_sendto(socket, batch->bytes, batch->length) < 0) err(1, "%s", what);
  for (unsigned sequence = 1; sequence <= batch->count; sequence++) {
    ssize_t length = mnl_socket_recvfrom(socket, answer, sizeof answer);
    if (length < 0) err(1, "%s", what);
    if (mnl_cb_run(answer, length, sequence, mnl_socket_get_portid(socket), NULL, NULL) < 0)
      err(1, "%s: message %u", what, sequence);
  }
}

static struct mnl_socket *open_socket(void) {
  struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
  if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) err(1, "netlink socket");
  return socket;
}

/// RTM_GETLINK by name: the interface's index.
static uint32_t link_index(struct mnl_socket *socket, const char *name) {
  char bytes[8192];
  struct nlmsghdr *message = mnl_nlmsg_put_header(bytes);
  message->nlmsg_type = RTM_GETLINK;
  message->nlmsg_flags = NLM_F_REQUEST;
  mnl_nlmsg_put_extra_header(message, sizeof(struct ifinfomsg));
  mnl_attr_put_strz(message, IFLA_IFNAME, name);
  mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0) err(1, "%s", name);
  ssize_t length = mnl_socket_recvfrom(socket, bytes, sizeof bytes);
  if (length < 0) err(1, "%s", name);
  message = (struct nlmsghdr *)bytes;
  if (message->nlmsg_type != RTM_NEWLINK) errx(1, "%s: no such link", name);
  return ((struct ifinfomsg *)mnl_nlmsg_get_payload(message))->ifi_index;
}

/// RTM_NEWLINK: both ends of the pair, the host's on the bridge and up, the pod's in its namespace.
static void put_pair(struct batch *batch, const char *host_name, const char *pod_name, int namespace,
                     uint32_t bridge, uint32_t number) {
  uint8_t host_mac[6] = {2, 0, 1, number >> 16, number >> 8, number};
  uint8_t pod_mac[6] = {2, 0, 2, number >> 16, number >> 8, number};
  struct nlmsghdr *message = put_request(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  struct ifinfomsg *link = mnl_nlmsg_put_extra_header(message, sizeof *link);
  link->ifi_flags = link->ifi_change = IFF_UP;
  mnl_attr_put_strz(message, IFLA_IFNAME, host_name);
  mnl_attr_put_u32(message, IFLA_MTU, 1500);
  mnl_attr_put(message, IFLA_ADDRESS, sizeof host_mac, host_mac);
  mnl_attr_put_u32(message, IFLA_MASTER, bridge);
  struct nlattr *info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, "veth");
  struct nlattr *data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  struct nlattr *peer = mnl_attr_nest_start(message, VETH_INFO_PEER);
  mnl_nlmsg_put_extra_header(message, sizeof(struct ifinfomsg));
  mnl_attr_put_strz(message, IFLA_IFNAME, pod_name);
  mnl_attr_put_u32(message, IFLA_MTU, 1500);
  mnl_attr_put(message, IFLA_ADDRESS, sizeof pod_mac, pod_mac);
  mnl_attr_put_u32(message, IFLA_NET_NS_FD, namespace);
  mnl_attr_nest_end(message, peer);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, info);
  end_request(batch, message);
}

static void put_up(struct batch *batch, uint32_t index) {
  struct nlmsghdr *message = put_request(batch, RTM_NEWLINK, 0);
  struct ifinfomsg *link = mnl_nlmsg_put_extra_header(message, sizeof *link);
  link->ifi_index = index;
  link->ifi_flags = link->ifi_change = IFF_UP;
  end_request(batch, message);
}

static void put_address(struct batch *batch, uint32_t index, uint32_t address) {
  struct nlmsghdr *message = put_request(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  struct ifaddrmsg *header = mnl_nlmsg_put_extra_header(message, sizeof *header);
  header->ifa_family = AF_INET;
  header->ifa_prefixlen = prefix_length;
  header->ifa_index = index;
  mnl_attr_put_u32(message, IFA_LOCAL, htonl(address));
  mnl_attr_put_u32(message, IFA_ADDRESS, htonl(address));
  mnl_attr_put_u32(message, IFA_BROADCAST, htonl(address | (UINT32_MAX >> prefix_length)));
  end_request(batch, message);
}

static void put_default_route(struct batch *batch, uint32_t index) {
  struct nlmsghdr *message = put_request(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  struct rtmsg *route = mnl_nlmsg_put_extra_header(message, sizeof *route);
  route->rtm_family = AF_INET;
  route->rtm_table = RT_TABLE_MAIN;
  route->rtm_protocol = 72;
  route->rtm_scope = RT_SCOPE_UNIVERSE;
  route->rtm_type = RTN_UNICAST;
  mnl_attr_put_u32(message, RTA_GATEWAY, htonl(gateway));
  mnl_attr_put_u32(message, RTA_OIF, index);
  end_request(batch, message);
}

/// RTM_NEWLINK on the host's end: the alias cannot be set in the message that makes the link.
static void put_alias(struct batch *batch, const char *name, const char *alias) {
  struct nlmsghdr *message = put_request(batch, RTM_NEWLINK, 0);
  mnl_nlmsg_put_extra_header(message, sizeof(struct ifinfomsg));
  mnl_attr_put_strz(message, IFLA_IFNAME, name);
  mnl_attr_put_str(message, IFLA_IFALIAS, alias);
  end_request(batch, message);
}

static void add(const char *host_name, const char *pod_name, const char *path, uint32_t number) {
  int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  int pod = open(path, O_RDONLY | O_CLOEXEC);
  if (own < 0 || pod < 0) err(1, "%s", path);
  struct mnl_socket *node_socket = open_socket();
  struct batch links = {.length = 0}, rest = {.length = 0};
  char alias[64];
  snprintf(alias, sizeof alias, "floor bench-%u %s", number, pod_name);
  put_pair(&links, host_name, pod_name, pod, link_index(node_socket, bridge_name), number);
  put_alias(&links, host_name, alias);
  send_batch(node_socket, &links, host_name);

  if (setns(pod, CLONE_NEWNET)) err(1, "%s", path);
  struct mnl_socket *pod_socket = open_socket();
  if (setns(own, CLONE_NEWNET)) err(1, "setns");
  uint32_t index = link_index(pod_socket, pod_name);
  put_up(&rest, index);
  put_address(&rest, index, gateway + number);
  put_default_route(&rest, index);
  send_batch(pod_socket, &rest, pod_name);
}

static void del(const char *host_name) {
  struct batch batch = {.length = 0};
  struct nlmsghdr *message = put_request(&batch, RTM_DELLINK, 0);
  mnl_nlmsg_put_extra_header(message, sizeof(struct ifinfomsg));
  mnl_attr_put_strz(message, IFLA_IFNAME, host_name);
  end_request(&batch, message);
  send_batch(open_socket(), &batch, host_name);
}

static const char *variable(const char *name) {
  const char *value = getenv(name);
  if (!value) errx(2, "%s is not set", name);
  return value;
}

int main(void) {
  const char *container = variable("CNI_CONTAINERID");
  const char *dash = strrchr(container, '-');
  uint32_t number = dash ? strtoul(dash + 1, NULL, 10) : 0;
  if (number == 0 || number > 250) errx(2, "%s: expected NAME-NUMBER, up to 250", container);
  char host_name[IF_NAMESIZE];
  snprintf(host_name, sizeof host_name, "floor%u", number);
  if (!strcmp(variable("CNI_COMMAND"), "ADD"))
    add(host_name, variable("CNI_IFNAME"), variable("CNI_NETNS"), number);
  else if (!strcmp(variable("CNI_COMMAND"), "DEL"))
    del(host_name);
  else
    errx(2, "ADD or DEL");
}

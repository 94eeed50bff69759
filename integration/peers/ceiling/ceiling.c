/* ceiling answers NTP requests as fast as two system calls for 64 datagrams let it: recvmmsg and sendmmsg, with the
   kernel's receive stamps (SO_TIMESTAMPNS_NEW) and packet info, so that a reply leaves from the address that was asked.
   It guards nothing and counts nothing: what a server in C could reach at the most.

   usage: ceiling PORT    (IPv4, all addresses)

   gcc -O2 -o ceiling ceiling.c */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#ifndef SO_TIMESTAMPNS_NEW
#define SO_TIMESTAMPNS_NEW 64
#endif

#define BATCH 64
#define PACKET 48              /* RFC 5905, section 7.3 */
#define LONGEST 1500           /* bytes received; what is behind an NTP header is not looked at */
#define SINCE_1900 2208988800u /* seconds from 1900 to 1970 */

/* The kernel's struct __kernel_timespec: 64 bits on every machine. */
struct stamp {
	int64_t sec, nsec;
};

struct slot {
	uint8_t data[LONGEST];
	struct sockaddr_in from;
	struct iovec iov;
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct stamp)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
};

static struct slot slots[BATCH];
static struct mmsghdr in[BATCH], out[BATCH];

static void fail(const char *what) {
	perror(what);
	exit(1);
}

/* put writes an NTP timestamp: Q32.32 seconds since 1900, modulo 2^32. */
static void put(uint8_t *at, int64_t sec, int64_t nsec) {
	uint64_t t = (uint64_t)(sec + SINCE_1900) << 32 | ((uint64_t)nsec << 32) / 1000000000u;
	t = htobe64(t);
	memcpy(at, &t, 8);
}

/* answer turns the request of a slot into its reply, and tells whether there is one. */
static int answer(struct mmsghdr *m, struct slot *s) {
	struct in_pktinfo *info = NULL;
	struct stamp received = {0, 0};
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr); c; c = CMSG_NXTHDR(&m->msg_hdr, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS_NEW)
			memcpy(&received, CMSG_DATA(c), sizeof received);
		else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			info = (struct in_pktinfo *)CMSG_DATA(c);
	}
	int mode = s->data[0] & 7, version = s->data[0] >> 3 & 7;
	if (m->msg_len < PACKET || mode != 3 || version < 1 || version > 4 || !info)
		return 0;
	if (info->ipi_addr.s_addr != info->ipi_spec_dst.s_addr) /* broadcast or multicast */
		return 0;
	struct in_addr asked = info->ipi_spec_dst;

	uint8_t *p = s->data;
	p[0] = version << 3 | 4;
	p[1] = 1;              /* stratum */
	p[3] = (uint8_t)-24;   /* precision; the poll stays */
	memset(p + 4, 0, 8);   /* root delay and dispersion */
	memcpy(p + 12, "XCLP", 4);
	memcpy(p + 24, p + 40, 8); /* origin: the asker's transmit time */
	put(p + 16, received.sec & ~(int64_t)63, 0);
	put(p + 32, received.sec, received.nsec);
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	put(p + 40, now.tv_sec, now.tv_nsec);

	struct cmsghdr *c = &s->control.align;
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
	info = (struct in_pktinfo *)CMSG_DATA(c);
	memset(info, 0, sizeof *info);
	info->ipi_spec_dst = asked;
	return 1;
}

int main(int argc, char **argv) {
	if (argc != 2) {
		fprintf(stderr, "usage: ceiling PORT\n");
		return 2;
	}
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
	if (fd < 0)
		fail("socket");
	if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) < 0)
		fail("IP_PKTINFO");
	/* like ours: a packet that must not be cut up needs no number, which the kernel would mix */
	int whole = IP_PMTUDISC_DO;
	if (setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof whole) < 0)
		fail("IP_MTU_DISCOVER");
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS_NEW, &on, sizeof on) < 0)
		fail("SO_TIMESTAMPNS_NEW");
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
	if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
		fail("bind");

	for (int i = 0; i < BATCH; i++) {
		struct slot *s = &slots[i];
		s->iov.iov_base = s->data;
		in[i].msg_hdr = (struct msghdr){.msg_name = &s->from, .msg_iov = &s->iov, .msg_iovlen = 1, .msg_control = &s->control};
	}
	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			slots[i].iov.iov_len = LONGEST;
			in[i].msg_hdr.msg_namelen = sizeof slots[i].from;
			in[i].msg_hdr.msg_controllen = sizeof slots[i].control;
		}
		int n = recvmmsg(fd, in, BATCH, MSG_WAITFORONE, NULL);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			fail("recvmmsg");
		}
		int replies = 0;
		for (int i = 0; i < n; i++) {
			struct slot *s = &slots[i];
			if (!answer(&in[i], s))
				continue;
			s->iov.iov_len = PACKET;
			out[replies].msg_hdr = in[i].msg_hdr;
			out[replies].msg_hdr.msg_controllen = CMSG_SPACE(sizeof(struct in_pktinfo));
			out[replies++].msg_hdr.msg_flags = 0;
		}
		for (int sent = 0; sent < replies;) {
			int k = sendmmsg(fd, out + sent, replies - sent, 0);
			if (k < 0 && errno == EINTR)
				continue;
			sent += k > 0 ? k : 1; /* one that can't be sent is passed over */
		}
	}
}

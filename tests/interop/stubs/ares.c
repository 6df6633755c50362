/* Prints the addresses that c-ares finds for each name, `none` where there is none. */
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/select.h>

static int waiting;

static void print(void *name, int status, int timeouts, struct ares_addrinfo *found) {
    (void)timeouts;
    waiting = 0;
    printf("%s", (const char *)name);
    if (status == ARES_ENOTFOUND || status == ARES_ENODATA) {
        printf(" none");
    } else if (status != ARES_SUCCESS) {
        printf(" %s", ares_strerror(status));
    }
    if (found) {
        for (struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
            char text[INET6_ADDRSTRLEN];
            const void *address = node->ai_family == AF_INET
                ? (void *)&((struct sockaddr_in *)node->ai_addr)->sin_addr
                : (void *)&((struct sockaddr_in6 *)node->ai_addr)->sin6_addr;
            printf(" %s", inet_ntop(node->ai_family, address, text, sizeof text));
        }
        ares_freeaddrinfo(found);
    }
    printf("\n");
}

int main(int count, char **names) {
    ares_channel channel;
    if (ares_library_init(ARES_LIB_INIT_ALL) || ares_init(&channel)) {
        return 1;
    }
    for (int i = 1; i < count; i++) {
        struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
        waiting = 1;
        ares_getaddrinfo(channel, names[i], NULL, &hints, print, names[i]);
        while (waiting) {
            fd_set readable, writable;
            FD_ZERO(&readable);
            FD_ZERO(&writable);
            int most = ares_fds(channel, &readable, &writable);
            struct timeval room, *timeout = ares_timeout(channel, NULL, &room);
            select(most, &readable, &writable, NULL, timeout);
            ares_process(channel, &readable, &writable);
        }
    }
    ares_destroy(channel);
}

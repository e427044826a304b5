/* Stands between a client and a mariadbd, on a socket of its own and a thread, and lies about what
 * became of a command: the answer to it is an error, be it that the command was passed on, and
 * done, or that it was not. */
#ifndef QUOIT_TESTS_SUPPORT_MYSQL_PROXY_H
#define QUOIT_TESTS_SUPPORT_MYSQL_PROXY_H

#include <stdbool.h>

struct mysql_proxy;

struct mysql_lie {
    const char *query; /* about this text; NULL: about the execution of a prepared statement */
    unsigned skip;     /* so many of its kind are left alone first */
    unsigned error;    /* the number it is answered with */
    bool done;         /* all the same */
    bool then_away;    /* and nobody is let in from then on, before mysql_proxy_let_in() */
};

/* Listens at path for clients of the server at `server`; both are paths of sockets. Fails the test
 * where it cannot. */
struct mysql_proxy *mysql_proxy_start(const char *path, const char *server);
void mysql_proxy_stop(struct mysql_proxy *proxy);
/* The next command of its kind is lied about, once. Lies are told in the order in which they are
 * given here, the next one being thought of when this one is told. */
void mysql_proxy_lie(struct mysql_proxy *proxy, struct mysql_lie lie);
void mysql_proxy_let_in(struct mysql_proxy *proxy);
/* Lies not told yet. */
unsigned mysql_proxy_untold(struct mysql_proxy *proxy);
/* Clients that came, those that were not let in among them. */
unsigned mysql_proxy_clients(struct mysql_proxy *proxy);

#endif

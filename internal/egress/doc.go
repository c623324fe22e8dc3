// Package egress calls addresses that people chose: receivers of webhooks, chat services, Argo CD.
//
// Whoever may choose an address must not reach by it what only this server can reach: its own
// loopback, its neighbours, the metadata service of its cloud. That is decided when a connection is
// made, on the address that the name led to just then, because a name may lead elsewhere each time
// it is asked for (decision 0112). Calls are by https, go through no proxy, follow no redirect and
// take an answer of bounded size.
//
// Addresses of webhooks are secrets: whoever knows one may send there. An [Error] names the host
// only, never a path or a query, and nothing that the other side said.
package egress

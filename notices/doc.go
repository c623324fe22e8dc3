// Package notices tells people and integrations what happened to requests: by e-mail, in Slack
// and Teams, and to webhooks.
//
// What happened is a fact before anybody is told of it. One loop follows the log and writes what
// is to be told into an outbox, once; another one sends what is due. So a channel that fails, or
// is slow, is of no concern to a request: it only fills the outbox.
//
// A message says who asked for what and why, where it lies and how to get there. It never holds a
// value, and no verdict can be given by answering it: that is done in the product, by somebody who
// signed in there.
package notices

package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"secretsbridge/command"
)

const (
	// answerWait is how long servers may take to store an account or to say what they hold.
	answerWait = 2 * time.Second

	// nodePoll is how often the servers are counted, and lookAgain how often all accounts
	// are looked at although no server came: an account that some server got too late, from
	// another one with a slow clock or over a slow route, is right again after that.
	nodePoll  = 2 * time.Second
	lookAgain = 5 * time.Minute

	// cutAgain is for how long an account that was cut is looked at every time. Servers tell
	// each other what they missed by the time of signing, in whole seconds.
	cutAgain = time.Minute

	// looksAtOnce bounds the accounts that are looked at together.
	looksAtOnce = 32
)

// Admit has the servers store the account of an agent, so that it can link. Servers that
// are away get it from the others when the agent comes to them. An error wraps
// [command.ErrLogAway] if no server stored it.
func (c *Cluster) Admit(ctx context.Context, agent Agent) error {
	form := c.config.Authority.form(string(agent.Cluster))
	c.mu.Lock()
	stored := c.sent[agent.Account] == form
	c.mu.Unlock()
	if stored {
		return nil
	}
	signed, err := c.config.Authority.agentAccount(agent)
	if err != nil {
		return fmt.Errorf("admit account %s: %w", agent.Account, err)
	}
	if err := c.store(ctx, agent.Account, signed); err != nil {
		return fmt.Errorf("admit account %s: %w", agent.Account, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, cut := c.cuts[agent.Account]; !cut {
		c.sent[agent.Account] = form
	}
	return nil
}

// Cut ends an agent's account: its links are dropped and none comes back. A server that is
// away now is told when [Cluster.Run] sees it again. An error wraps [command.ErrLogAway] if
// no server could be told.
func (c *Cluster) Cut(ctx context.Context, account string) error {
	c.mu.Lock()
	delete(c.sent, account)
	c.cuts[account] = time.Now().Add(cutAgain)
	c.mu.Unlock()
	if err := c.kill(ctx, account); err != nil {
		return fmt.Errorf("cut account %s: %w", account, err)
	}
	return nil
}

func (c *Cluster) kill(ctx context.Context, account string) error {
	signed, err := c.config.Authority.deadAccount(account).Encode(c.config.Authority.now.Load().operator)
	if err != nil {
		return err
	}
	return c.store(ctx, account, signed)
}

// Run keeps the accounts of all agents on all servers as the log has them, until ctx ends:
// at the start, whenever a server comes back, and after a rotation of keys. accounts lists every account that was ever
// given, and may lag; registry answers from the log itself.
func (c *Cluster) Run(ctx context.Context, registry Registry, accounts func(context.Context) ([]string, error)) error {
	tick := time.NewTicker(nodePoll)
	defer tick.Stop()
	var settled map[string]string // the servers of the last look that found everything right
	var last time.Time
	var keys int // serial of the signing keys at that look
	watched := floodWatch{open: map[place]unanswered{}, out: map[string]time.Time{}}
	for {
		nodes, err := c.ping(ctx)
		switch {
		case err != nil:
		case !covers(settled, nodes) || time.Since(last) > lookAgain || keys != c.config.Authority.now.Load().doc.Serial:
			serial := c.config.Authority.now.Load().doc.Serial
			if _, err = c.settleOwn(ctx); err != nil {
				break
			}
			var right bool
			if right, err = c.settleAll(ctx, registry, accounts); err == nil && right {
				settled, last, keys = nodes, time.Now(), serial
			}
		default:
			settled = nodes // without those that went: they count as new when they are back
			err = c.settleCuts(ctx, registry)
		}
		if err == nil {
			err = c.lookForFloods(ctx, registry, &watched)
		}
		if err != nil && ctx.Err() == nil {
			c.config.Logger.Warn("accounts of agents could not be looked at on all nats servers, and are again", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// covers reports whether all of nodes were there before.
func covers(before, nodes map[string]string) bool {
	for id := range nodes {
		if _, ok := before[id]; !ok {
			return false
		}
	}
	return true
}

// settleAll looks at every account once. It reports whether all were right already: a server
// that was told may have been told otherwise by another one in that moment.
func (c *Cluster) settleAll(ctx context.Context, registry Registry, accounts func(context.Context) ([]string, error)) (right bool, err error) {
	all, err := accounts(ctx)
	if err != nil {
		return false, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(looksAtOnce)
	changed := make(chan bool, len(all))
	for _, account := range all {
		group.Go(func() error {
			fine, err := c.settle(ctx, registry, account)
			changed <- !fine
			return err
		})
	}
	err = group.Wait()
	close(changed)
	right = true
	for did := range changed {
		right = right && !did
	}
	return right, err
}

// settleCuts looks at what was cut lately.
func (c *Cluster) settleCuts(ctx context.Context, registry Registry) error {
	c.mu.Lock()
	maps.DeleteFunc(c.cuts, func(_ string, until time.Time) bool { return time.Now().After(until) })
	cuts := maps.Clone(c.cuts)
	c.mu.Unlock()
	for account := range cuts {
		if _, err := c.settle(ctx, registry, account); err != nil {
			return err
		}
	}
	return nil
}

// settle compares what the servers hold of one account with the log, and sends it again if a
// server holds something else. It reports whether all was right.
func (c *Cluster) settle(ctx context.Context, registry Registry, account string) (right bool, err error) {
	agent, err := registry(ctx, account)
	if errors.Is(err, ErrUnknownAccount) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	shut := c.shut[account]
	c.mu.Unlock()
	wanted, dead := c.config.Authority.form(string(agent.Cluster)), agent.Revoked || shut
	if dead {
		wanted = c.config.Authority.form("")
	}
	held, err := c.lookup(ctx, account)
	if err != nil {
		return false, err
	}
	right = true
	for _, h := range held {
		right = right && c.config.Authority.stands(h, wanted, dead)
	}
	switch {
	case right:
		return true, nil
	case dead:
		return false, c.kill(ctx, account)
	}
	signed, err := c.config.Authority.agentAccount(agent)
	if err != nil {
		return false, err
	}
	if err := c.store(ctx, account, signed); err != nil {
		return false, err
	}
	// Whoever revoked the agent meanwhile may have been overtaken. The log says so; after it
	// has not, a revocation comes after what was stored.
	if agent, err = registry(ctx, account); err != nil || !agent.Revoked {
		return false, err
	}
	return false, c.kill(ctx, account)
}

// settleOwn brings accounts CORE and SYS to the form that this version and its signing keys need.
// It reports whether all servers had it already.
func (c *Cluster) settleOwn(ctx context.Context) (all bool, err error) {
	if _, err := c.ping(ctx); err != nil {
		return false, err
	}
	all = true
	a := c.config.Authority
	for _, own := range []struct {
		account, form string
		sign          func() (string, error)
	}{
		{a.corePub, a.form("CORE"), a.coreAccount},
		{a.systemPub, a.form("SYS"), a.systemAccount},
	} {
		held, err := c.lookup(ctx, own.account)
		if err != nil {
			return false, err
		}
		right := true
		for _, h := range held {
			right = right && a.stands(h, own.form, false)
		}
		if right {
			continue
		}
		all = false
		signed, err := own.sign()
		if err != nil {
			return false, err
		}
		if err := c.store(ctx, own.account, signed); err != nil {
			return false, err
		}
	}
	return all, nil
}

// store sends an account to all servers, and returns when those that are there have stored
// it. One is enough: the others ask it, and so do those that come back.
func (c *Cluster) store(ctx context.Context, account, signed string) error {
	stored := 0
	var refused error
	err := c.ask(ctx, "$SYS.REQ.CLAIMS.UPDATE", []byte(signed), func(raw []byte) {
		var answer struct {
			Data  *struct{ Code int }
			Error *struct{ Description string }
		}
		switch {
		case json.Unmarshal(raw, &answer) != nil:
		case answer.Error != nil:
			refused = errors.New(answer.Error.Description)
		case answer.Data != nil:
			stored++
		}
	})
	switch {
	case err != nil:
		return err
	case refused != nil:
		return fmt.Errorf("a nats server refuses account %s: %w: %w", account, command.ErrLogAway, refused)
	case stored == 0:
		return fmt.Errorf("no nats server stored account %s: %w", account, command.ErrLogAway)
	}
	return nil
}

// lookup returns what each server holds of an account; "" of one that holds nothing. It fails
// if a server that is there does not answer.
func (c *Cluster) lookup(ctx context.Context, account string) ([]string, error) {
	var held []string
	err := c.ask(ctx, "$SYS.REQ.ACCOUNT."+account+".CLAIMS.LOOKUP", nil, func(raw []byte) { held = append(held, string(raw)) })
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	want := len(c.nodes)
	c.mu.Unlock()
	if len(held) < want {
		return nil, fmt.Errorf("of %d nats servers %d said what they hold of account %s: %w", want, len(held), account, command.ErrLogAway)
	}
	return held, nil
}

// ping counts the servers.
func (c *Cluster) ping(ctx context.Context) (map[string]string, error) {
	nodes := map[string]string{}
	want := 0
	err := c.gather(ctx, "$SYS.REQ.SERVER.PING", nil, func(raw []byte) bool {
		var answer struct {
			Server struct{ ID, Name string }
			Statsz struct {
				Active int `json:"active_servers"`
			}
		}
		if json.Unmarshal(raw, &answer) == nil && answer.Server.ID != "" {
			nodes[answer.Server.ID] = answer.Server.Name
			want = max(want, answer.Statsz.Active)
		}
		return want > 0 && len(nodes) >= want
	})
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("no nats server answers: %w", command.ErrLogAway)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = nodes
	return nodes, nil
}

// ask sends a request that every server answers once.
func (c *Cluster) ask(ctx context.Context, what string, data []byte, each func([]byte)) error {
	c.mu.Lock()
	want := len(c.nodes)
	c.mu.Unlock()
	heard := 0
	return c.gather(ctx, what, data, func(raw []byte) bool {
		each(raw)
		heard++
		return heard >= want
	})
}

// gather sends a request and hands over its answers until each says that these are all, or
// answerWait is over.
func (c *Cluster) gather(ctx context.Context, what string, data []byte, each func([]byte) (all bool)) error {
	inbox := natsgo.NewInbox()
	replies, err := c.system.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("ask nats servers: %w: %w", command.ErrLogAway, err)
	}
	defer func() { _ = replies.Unsubscribe() }()
	if err := c.system.PublishRequest(what, inbox, data); err != nil {
		return fmt.Errorf("ask nats servers: %w: %w", command.ErrLogAway, err)
	}
	waiting, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	for {
		msg, err := replies.NextMsgWithContext(waiting)
		switch {
		case errors.Is(err, natsgo.ErrNoResponders):
			return fmt.Errorf("ask nats servers: %w: they do not keep accounts; their resolver must be full", command.ErrLogAway)
		case err != nil:
			return ctx.Err() // the wait is over, or the connection is lost; whoever calls counts
		}
		if each(msg.Data) {
			return nil
		}
	}
}

package nats

import (
	"context"
	"encoding/json"
	"maps"
	"time"
)

// place is an account at one node.
type place struct{ node, account string }

// floodWatch watches what agents of a cluster leave unanswered, as [flood] does in process. The nodes
// are asked at each round of [Cluster.Run], which is rarer: what is sent between two looks is
// remembered by the node. [Cluster.Run] owns it.
type floodWatch struct {
	open map[place]unanswered
	out  map[string]time.Time // accounts that are out, and until when
}

// lookForFloods ends the links of agents that ask without waiting for answers, on all nodes, and lets
// them in again after a while.
func (c *Cluster) lookForFloods(ctx context.Context, registry Registry, f *floodWatch) error {
	now := time.Now()
	for account, until := range f.out {
		if now.Before(until) {
			continue
		}
		c.mu.Lock()
		delete(c.shut, account)
		c.mu.Unlock()
		if _, err := c.settle(ctx, registry, account); err != nil {
			return err
		}
		delete(f.out, account)
	}
	linked := map[place]unanswered{}
	worst := map[string]int64{} // by account
	err := c.ask(ctx, "$SYS.REQ.ACCOUNT.PING.STATZ", []byte("{}"), func(raw []byte) {
		var answer struct {
			Server struct{ ID string }
			Data   struct {
				Accounts []struct {
					Account        string `json:"acc"`
					LeafNodes      int
					Sent, Received struct{ Msgs int64 }
				} `json:"account_statz"`
			}
		}
		if json.Unmarshal(raw, &answer) != nil {
			return
		}
		for _, s := range answer.Data.Accounts {
			if s.LeafNodes == 0 {
				continue
			}
			at, net := place{answer.Server.ID, s.Account}, s.Received.Msgs-s.Sent.Msgs
			u, seen := f.open[at]
			if !seen { // nodes count while no server of ours is there to answer
				u = unanswered{net: net, seen: now}
			}
			linked[at] = u.after(net, now)
			worst[s.Account] = max(worst[s.Account], linked[at].debt)
		}
	})
	if err != nil {
		return err
	}
	for account, debt := range worst {
		if debt <= maxUnanswered {
			continue
		}
		c.config.Logger.Warn("an agent asks without waiting for answers, and is kept out for a while",
			"account", account, "unanswered", debt, "pause", c.floodPause)
		c.mu.Lock()
		c.shut[account] = true
		delete(c.sent, account)
		c.mu.Unlock()
		f.out[account] = now.Add(c.floodPause)
		if err := c.kill(ctx, account); err != nil {
			return err
		}
		maps.DeleteFunc(linked, func(at place, _ unanswered) bool { return at.account == account })
	}
	for at, u := range f.open { // gone, but it may be back
		if _, ok := linked[at]; !ok && f.out[at.account].IsZero() && now.Sub(u.seen) < c.floodPause {
			linked[at] = u
		}
	}
	f.open = linked
	return nil
}

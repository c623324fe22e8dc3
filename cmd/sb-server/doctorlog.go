package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/doctor"
	"secretsbridge/events"
	"secretsbridge/ledger"
	"secretsbridge/projections"
	"secretsbridge/store"
	"secretsbridge/transparency"
)

const (
	// patience is how long a commit may wait for a checkpoint and for the views: both take a second.
	patience = 5 * time.Second

	// cosignedWithin is how far a witness may be behind the newest checkpoint.
	cosignedWithin = 10 * time.Minute

	// agentPages bounds the agents that are looked at, in pages of [projections.MaxLimit].
	agentPages = 100
)

// logCheckpoint compares the last signed state of the log, which Postgres keeps, with its end.
func (x *examination) logCheckpoint(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		latest, err := store.Checkpoints{Pool: pool}.Latest(ctx)
		if err != nil && !errors.Is(err, ledger.ErrNoCheckpoint) {
			return doctor.Unsure("see postgres.schema", "%v", err)
		}
		unsigned := err != nil
		end, err := x.endOfLog(ctx)
		if err != nil {
			return doctor.Unsure("", "the last checkpoint is of %d commits, of %s; where the log ends is not known: %v", latest.Tree.N, latest.At.Format(time.RFC3339), err)
		}
		trouble := see("how-to/log-trouble.md")
		switch {
		case unsigned && end == 0:
			return doctor.None("there is no log yet: the first start of a server begins it")
		case unsigned:
			return doctor.Warn("start a server: it signs within seconds", "the log has %d commits and was never signed", end)
		case int64(end) < latest.Tree.N:
			return doctor.Fail("start no server before it is known what happened: "+trouble,
				"the log ends at %d, and %d commits were signed at %s: it was cut off, or it is another one", end, latest.Tree.N, latest.At.Format(time.RFC3339))
		case int64(end) > latest.Tree.N && !signs(ctx, pool, end):
			return doctor.Warn("start a server, or look at its log for why nothing is signed: loop checkpoints", "the log ends at %d, and the last checkpoint is of %d, of %s", end, latest.Tree.N, latest.At.Format(time.RFC3339))
		}
		return doctor.Fine("the log ends at %d, and the last checkpoint is of %d, of %s", end, latest.Tree.N, latest.At.Format(time.RFC3339))
	})
}

// signs reports that a checkpoint of so many commits is signed within a while: a commit of this
// moment waits for a second.
func signs(ctx context.Context, pool *pgxpool.Pool, end events.Seq) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		latest, err := store.Checkpoints{Pool: pool}.Latest(ctx)
		if err == nil && latest.Tree.N >= int64(end) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(patience / 20):
		}
	}
}

// logViews compares what the views hold with the log.
func (x *examination) logViews(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		at, err := projections.NewProgress(pool).Position(ctx)
		if err != nil {
			return doctor.Unsure("see postgres.schema", "%v", err)
		}
		end, err := x.endOfLog(ctx)
		switch {
		case err != nil:
			return doctor.Unsure("", "the views hold %d commits; where the log ends is not known: %v", at.Seq, err)
		case at.Seq > end:
			return doctor.Fail("start no server before it is known what happened: "+see("how-to/log-trouble.md"), "the views hold %d commits, and the log ends at %d", at.Seq, end)
		case at.Seq < end:
			_, err := x.self.get(ctx)
			if err == nil && x.stillBehind(ctx, pool, at.Seq) {
				return doctor.Fail("look at the server's log for \"views stand still\"; sb-server rebuild makes them anew", "the views hold %d of %d commits, and take no more", at.Seq, end)
			}
			return doctor.Fine("the views hold %d of %d commits, and take the others while a server runs", at.Seq, end)
		}
		return doctor.Fine("the views hold all %d commits", end)
	})
}

// stillBehind reports that the views take nothing for a while.
func (x *examination) stillBehind(ctx context.Context, pool *pgxpool.Pool, before events.Seq) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return errors.Is(projections.NewProgress(pool).WaitFor(ctx, before+1), projections.ErrBehind)
}

// agents are all that are enrolled, and false where there are more than can be looked at.
func agents(ctx context.Context, pool *pgxpool.Pool) (all []projections.Agent, whole bool, err error) {
	filter := projections.AgentFilter{States: []events.AgentState{events.AgentOnline, events.AgentOffline}, Limit: projections.MaxLimit}
	for range agentPages {
		page, err := projections.Agents{Pool: pool}.List(ctx, filter)
		if err != nil {
			return nil, false, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, true, nil
		}
		filter.Cursor = page.Next
	}
	return all, false, nil
}

// agentsHeard finds agents that are away, as the log has it.
func (x *examination) agentsHeard(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		all, whole, err := agents(ctx, pool)
		if err != nil {
			return doctor.Unsure("see postgres.schema", "%v", err)
		}
		if len(all) == 0 {
			return doctor.None("no agent is enrolled")
		}
		var away, ended []string
		versions := map[string]bool{}
		for _, a := range all {
			name := fmt.Sprintf("%s of %s", a.Name, a.Cluster)
			switch {
			case a.State != events.AgentOnline && a.CredentialsExpireAt != nil && a.CredentialsExpireAt.Before(time.Now()):
				ended = append(ended, name)
			case a.State != events.AgentOnline:
				away = append(away, name)
			default:
				versions[a.Version] = true
			}
		}
		text := fmt.Sprintf("%d agents are enrolled, %d of them heard, of %d versions", len(all), len(all)-len(away)-len(ended), len(versions))
		if !whole {
			text += "; there are more"
		}
		switch {
		case len(ended) > 0:
			return doctor.Warn("on its host: sb-agent enrol --replace with a new token; one that is not to come back: sb agent revoke", "%s; the credentials ended of %s", text, doctor.Some(ended))
		case len(away) > 0:
			return doctor.Warn("on its host: sb-agent status; one that is not to come back: sb agent revoke", "%s; not heard: %s", text, doctor.Some(away))
		}
		return doctor.Fine("%s", text)
	})
}

// cosigned are the newest checkpoints that witnesses signed, by their names, and the newest of all.
func cosigned(ctx context.Context, pool *pgxpool.Pool) (map[string]time.Time, ledger.Checkpoint, error) {
	checkpoints := store.Checkpoints{Pool: pool}
	latest, err := checkpoints.Latest(ctx)
	if err != nil {
		return nil, latest, err
	}
	sizes, err := checkpoints.Witnessed(ctx)
	if err != nil {
		return nil, latest, err
	}
	var asked []int64
	for _, size := range sizes {
		asked = append(asked, size)
	}
	at, err := checkpoints.SignedAt(ctx, asked)
	if err != nil {
		return nil, latest, err
	}
	signed := map[string]time.Time{}
	for name, size := range sizes {
		signed[name] = at[size]
	}
	return signed, latest, nil
}

// agentsWitness finds agents that are heard and do not vouch for the log.
func (x *examination) agentsWitness(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		all, _, err := agents(ctx, pool)
		if err != nil {
			return doctor.Unsure("see postgres.schema", "%v", err)
		}
		signed, latest, err := cosigned(ctx, pool)
		switch {
		case len(all) == 0:
			return doctor.None("no agent is enrolled")
		case errors.Is(err, ledger.ErrNoCheckpoint):
			return doctor.None("nothing was signed yet")
		case err != nil:
			return doctor.Unsure("see postgres.schema", "%v", err)
		}
		var behind []string
		heard := 0
		for _, a := range all {
			if a.State != events.AgentOnline || a.ConnectedAt != nil && time.Since(*a.ConnectedAt) < cosignedWithin {
				continue
			}
			heard++
			if latest.At.Sub(signed[transparency.AgentWitness(a.ID)]) > cosignedWithin {
				behind = append(behind, fmt.Sprintf("%s of %s", a.Name, a.Cluster))
			}
		}
		if len(behind) > 0 {
			return doctor.Warn("on its host: sb-agent status says what it knows of the log: "+see("how-to/log-trouble.md"), "heard, and behind with cosigning by more than %s: %s", cosignedWithin, doctor.Some(behind))
		}
		return doctor.Fine("%d agents that are heard for longer cosign the log", heard)
	})
}

// outsideWitnesses finds those of the policy that are behind.
func (x *examination) outsideWitnesses(ctx context.Context) doctor.Seen {
	if x.settings.WitnessPolicy == "" {
		return doctor.None("SB_WITNESS_POLICY is not set")
	}
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		keys, err := x.keys.get(ctx)
		if err != nil || keys.ring == nil {
			return doctor.Unsure("", "the keys of checkpoints are not reached, see kms.reach")
		}
		checkpointKeys, err := openCheckpointKeys(ctx, keys.ring)
		if err != nil {
			return doctor.Unsure("see keys.ring", "%v", err)
		}
		policy, _, err := x.settings.witnesses(checkpointKeys.public())
		if err != nil {
			return doctor.Fail(see("how-to/audit-proof.md"), "%v", err)
		}
		signed, latest, err := cosigned(ctx, pool)
		if errors.Is(err, ledger.ErrNoCheckpoint) {
			return doctor.None("nothing was signed yet")
		}
		if err != nil {
			return doctor.Unsure("see postgres.schema", "%v", err)
		}
		var behind []string
		for _, w := range policy {
			if latest.At.Sub(signed[w.Name]) > cosignedWithin {
				behind = append(behind, w.Name)
			}
		}
		slices.Sort(behind)
		if len(behind) > 0 {
			return doctor.Warn("look at the server's log for what it answers; one that claims another history is an alert of its own: "+see("how-to/audit-proof.md"), "behind by more than %s: %s", cosignedWithin, doctor.Some(behind))
		}
		return doctor.Fine("%d outside witnesses cosign the log", len(policy))
	})
}

package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/command"
	"secretsbridge/events"
)

// column is one column of a view: its name, the type of its parameter array and how
// to fill that array. The row's struct has the same name as db tag.
type column[T any] struct {
	name   string
	kind   string
	values func(rows []*T) (any, error)
}

// table writes rows of one view, whole, by key.
type table[T any] struct {
	name    string
	key     []string
	columns []column[T]
	write   string // made from the rest: an upsert, or an insert if there is no key
	load    string // rows by the first column of the key, likewise
}

// newTable writes the two statements of a view once. A row travels as one element of
// each array, which costs one round trip and one plan for any number of rows. A key
// may occur once in a call (PostgreSQL, INSERT, ON CONFLICT). Without a key rows are
// only ever added.
func newTable[T any](name string, key []string, columns ...column[T]) table[T] {
	t := table[T]{name: name, key: key, columns: columns}
	names, params, selected, set := []string{}, []string{}, []string{}, []string{}
	for i, c := range columns {
		names = append(names, c.name)
		if c.kind == "json" || c.kind == "jsonb" {
			params, selected = append(params, fmt.Sprintf("$%d::text[]", i+1)), append(selected, c.name+"::"+c.kind)
		} else {
			params, selected = append(params, fmt.Sprintf("$%d::%s[]", i+1, c.kind)), append(selected, c.name)
		}
		set = append(set, c.name+" = excluded."+c.name)
	}
	all := strings.Join(names, ", ")
	t.write = "INSERT INTO " + name + " (" + all + ")" +
		"\nSELECT " + strings.Join(selected, ", ") +
		"\nFROM unnest(" + strings.Join(params, ", ") + ") AS rows (" + all + ")"
	if len(key) == 0 {
		return t
	}
	t.write += "\nON CONFLICT (" + strings.Join(key, ", ") + ") DO UPDATE SET " + strings.Join(set, ", ")
	t.load = "SELECT " + all + "\nFROM " + name + "\nWHERE " + key[0] + " = ANY ($1)"
	return t
}

// queue adds the write of rows to a batch.
func (t table[T]) queue(batch *pgx.Batch, rows []*T) error {
	if len(rows) == 0 {
		return nil
	}
	args := make([]any, len(t.columns))
	for i, c := range t.columns {
		values, err := c.values(rows)
		if err != nil {
			return fmt.Errorf("write %s of %s: %w", c.name, t.name, err)
		}
		args[i] = values
	}
	batch.Queue(t.write, args...)
	return nil
}

// planned, before the arguments of a query, has the server plan it each time: a table that is
// empty when a scan begins and large when it ends would be read by the plan for an empty one,
// from end to end, until its statistics are made again. It costs no round trip.
const planned = pgx.QueryExecModeCacheDescribe

// rows loads the rows of some keys.
func (t table[T]) rows(ctx context.Context, conn *pgx.Conn, keys []string) ([]*T, error) {
	found, err := conn.Query(ctx, t.load, planned, keys)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", t.name, err)
	}
	rows, err := pgx.CollectRows(found, pgx.RowToAddrOfStructByName[T])
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", t.name, err)
	}
	return rows, nil
}

// gather makes the array of one column.
func gather[T, V any](name, kind string, of func(*T) V) column[T] {
	return column[T]{name, kind, func(rows []*T) (any, error) {
		values := make([]V, len(rows))
		for i, row := range rows {
			values[i] = of(row)
		}
		return values, nil
	}}
}

func text[T any, S ~string](name string, of func(*T) S) column[T] {
	return gather(name, "text", func(row *T) string { return string(of(row)) })
}

func number[T any, N ~int | ~uint64](name string, of func(*T) N) column[T] {
	return gather(name, "bigint", func(row *T) int64 { return int64(of(row)) })
}

func instant[T any](name string, of func(*T) time.Time) column[T] {
	return gather(name, "timestamptz", of)
}

func perhaps[T any](name string, of func(*T) *time.Time) column[T] {
	return gather(name, "timestamptz", of)
}

func document[T, V any](name string, of func(*T) V) column[T] {
	return documentAs("json", name, of)
}

// documentAs takes "json", which keeps the bytes, or "jsonb", which can be searched.
func documentAs[T, V any](kind, name string, of func(*T) V) column[T] {
	return column[T]{name, kind, func(rows []*T) (any, error) {
		values := make([]string, len(rows))
		for i, row := range rows {
			b, err := json.Marshal(of(row))
			if err != nil {
				return nil, err
			}
			values[i] = string(b)
		}
		return values, nil
	}}
}

var requestTable = newTable("requests", []string{"id"},
	text("id", func(r *Request) events.RequestID { return r.ID }),
	number("seq", func(r *Request) events.Seq { return r.Seq }),
	number("last_seq", func(r *Request) events.Seq { return r.LastSeq }),
	text("state", func(r *Request) events.RequestState { return r.State }),
	text("operation", func(r *Request) events.Operation { return r.Operation }),
	text("requester", func(r *Request) events.UserID { return r.Requester }),
	text("connection", func(r *Request) events.ConnectionID { return r.Connection }),
	text("cluster", func(r *Request) events.ClusterID { return r.Cluster }),
	text("ref", func(r *Request) string { return r.Ref }),
	document("keys", func(r *Request) []string { return r.Keys }),
	text("reason", func(r *Request) string { return r.Reason }),
	document("workflow", func(r *Request) events.Workflow { return r.Workflow }),
	document("votes", func(r *Request) []Vote { return r.Votes }),
	text("correlation", func(r *Request) events.CorrelationID { return r.Correlation }),
	instant("submitted_at", func(r *Request) time.Time { return r.SubmittedAt }),
	instant("changed_at", func(r *Request) time.Time { return r.ChangedAt }),
	instant("pending_until", func(r *Request) time.Time { return r.PendingUntil }),
	number("approval_ttl_seconds", func(r *Request) int { return r.ApprovalSeconds }),
	number("reveal_ttl_seconds", func(r *Request) int { return r.RevealSeconds }),
	perhaps("approved_at", func(r *Request) *time.Time { return r.ApprovedAt }),
	perhaps("until", func(r *Request) *time.Time { return r.Until }),
	text("job", func(r *Request) events.JobID { return r.Job }),
	text("agent", func(r *Request) events.AgentID { return r.Agent }),
	number("attempt", func(r *Request) int { return r.Attempt }),
	perhaps("started_at", func(r *Request) *time.Time { return r.StartedAt }),
	perhaps("ended_at", func(r *Request) *time.Time { return r.EndedAt }),
	text("provider_version", func(r *Request) string { return r.ProviderVersion }),
	text("failure_code", func(r *Request) events.FailureCode { return r.FailureCode }),
	text("failure_detail", func(r *Request) string { return r.FailureDetail }),
	text("closing_comment", func(r *Request) string { return r.ClosingComment }),
	text("expired_from", func(r *Request) events.RequestState { return r.ExpiredFrom }),
	number("ready_envelopes", func(r *Request) int { return r.ReadyEnvelopes }),
	perhaps("due_at", func(r *Request) *time.Time { return r.DueAt }),
	document("patch", func(r *Request) *Patch { return r.Patch }),
	document("rollout", func(r *Request) *Rollout { return r.Rollout }),
	number("open_watches", func(r *Request) int { return r.OpenWatches }),
	text("project", func(r *Request) string { return r.Project }),
	text("environment", func(r *Request) string { return r.Environment }),
	text("environment_kind", func(r *Request) events.EnvironmentKind { return r.Kind }),
	text("team", func(r *Request) string { return r.Team }),
	text("owner", func(r *Request) string { return r.Owner }),
	text("ticket", func(r *Request) string { return r.Ticket }),
	text("fill_team", func(r *Request) string { return r.FillTeam }),
	document("fill", func(r *Request) *Fill { return r.Fill }),
	document("glass", func(r *Request) *Glass { return r.Glass }),
	text("review", func(r *Request) ReviewState { return r.Review }),
	perhaps("review_until", func(r *Request) *time.Time { return r.ReviewUntil }),
	text("step", func(r *Request) events.StepID { return r.Step }),
	perhaps("step_opened_at", func(r *Request) *time.Time { return r.OpenedAt }),
	number("reminders", func(r *Request) int { return r.Reminders }),
	perhaps("reminded_at", func(r *Request) *time.Time { return r.RemindedAt }),
	document("escalated", func(r *Request) []events.StepID { return r.Escalated }),
	perhaps("next_prompt_at", func(r *Request) *time.Time { return r.NextPromptAt }),
)

var envelopeTable = newTable("envelopes", []string{"request", "id"},
	text("request", func(v *Envelope) events.RequestID { return v.Request }),
	text("id", func(v *Envelope) events.EnvelopeID { return v.ID }),
	number("place", func(v *Envelope) int { return v.Place }),
	text("key", func(v *Envelope) string { return v.Key }),
	text("state", func(v *Envelope) EnvelopeState { return v.State }),
	text("fingerprint", func(v *Envelope) string { return v.Fingerprint }),
	text("kms_key", func(v *Envelope) string { return v.KMSKey }),
	instant("expires_at", func(v *Envelope) time.Time { return v.ExpiresAt }),
	text("by_user", func(v *Envelope) events.UserID { return v.By }),
	instant("at", func(v *Envelope) time.Time { return v.At }),
	text("failure_code", func(v *Envelope) events.FailureCode { return v.FailureCode }),
)

var connectionTable = newTable("connections", []string{"name"},
	text("name", func(c *Connection) events.ConnectionID { return c.Name }),
	number("seq", func(c *Connection) events.Seq { return c.Seq }),
	number("last_seq", func(c *Connection) events.Seq { return c.LastSeq }),
	text("state", func(c *Connection) ConnectionState { return c.State }),
	text("provider", func(c *Connection) events.ProviderKind { return c.Provider }),
	text("cluster", func(c *Connection) events.ClusterID { return c.Cluster }),
	text("description", func(c *Connection) string { return c.Description }),
	text("disabled_reason", func(c *Connection) string { return c.DisabledReason }),
	instant("created_at", func(c *Connection) time.Time { return c.CreatedAt }),
	text("created_by", func(c *Connection) events.Actor { return c.CreatedBy }),
	instant("changed_at", func(c *Connection) time.Time { return c.ChangedAt }),
	number("discover_every", func(c *Connection) int { return c.DiscoverEvery }),
)

var agentTable = newTable("agents", []string{"id"},
	text("id", func(a *Agent) events.AgentID { return a.ID }),
	number("seq", func(a *Agent) events.Seq { return a.Seq }),
	number("last_seq", func(a *Agent) events.Seq { return a.LastSeq }),
	text("state", func(a *Agent) events.AgentState { return a.State }),
	text("name", func(a *Agent) string { return a.Name }),
	text("cluster", func(a *Agent) events.ClusterID { return a.Cluster }),
	text("account", func(a *Agent) string { return a.Account }),
	text("user_key", func(a *Agent) string { return a.UserKey }),
	text("box_key", func(a *Agent) string { return a.BoxKey }),
	text("version", func(a *Agent) string { return a.Version }),
	text("token_hash", func(a *Agent) string { return a.TokenHash }),
	instant("token_expires_at", func(a *Agent) time.Time { return a.TokenExpiresAt }),
	instant("invited_at", func(a *Agent) time.Time { return a.InvitedAt }),
	text("invited_by", func(a *Agent) events.Actor { return a.InvitedBy }),
	perhaps("enrolled_at", func(a *Agent) *time.Time { return a.EnrolledAt }),
	perhaps("credentials_expire_at", func(a *Agent) *time.Time { return a.CredentialsExpireAt }),
	perhaps("connected_at", func(a *Agent) *time.Time { return a.ConnectedAt }),
	perhaps("lost_at", func(a *Agent) *time.Time { return a.LostAt }),
	perhaps("last_seen_at", func(a *Agent) *time.Time { return a.LastSeenAt }),
	perhaps("revoked_at", func(a *Agent) *time.Time { return a.RevokedAt }),
	text("revoked_reason", func(a *Agent) string { return a.RevokedReason }),
)

var userTable = newTable("users", []string{"id"},
	text("id", func(u *User) events.UserID { return u.ID }),
	number("seq", func(u *User) events.Seq { return u.Seq }),
	number("last_seq", func(u *User) events.Seq { return u.LastSeq }),
	text("kind", func(u *User) events.UserKind { return u.Kind }),
	text("state", func(u *User) command.UserState { return u.State }),
	gather("break_glass", "boolean", func(u *User) bool { return u.BreakGlass }),
	instant("added_at", func(u *User) time.Time { return u.AddedAt }),
	text("added_by", func(u *User) events.Actor { return u.AddedBy }),
	documentAs("jsonb", "grants", func(u *User) []events.GrantGiven { return u.Grants }),
	documentAs("jsonb", "groups", func(u *User) []string { return u.Groups }),
	documentAs("jsonb", "tokens", func(u *User) []events.TokenIssued { return u.Tokens }),
	documentAs("jsonb", "delegations", func(u *User) []events.DelegationGiven { return u.Delegations }),
	documentAs("jsonb", "factors", func(u *User) []events.FactorEnrolled { return u.Factors }),
)

package projections

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
)

// Views answers all queries of one database, and tells how far they are. It is what
// package web asks for as a whole; who needs less takes [Requests], [Connections],
// [Agents], [Jobs], [Secrets], [Integrations] or [Audit].
type Views struct {
	Pool *pgxpool.Pool
	*Progress
}

func (v Views) Requests(ctx context.Context, f RequestFilter) (Page[Request], error) {
	return Requests{Pool: v.Pool}.List(ctx, f)
}

func (v Views) Request(ctx context.Context, id events.RequestID) (Request, error) {
	return Requests{Pool: v.Pool}.Get(ctx, id)
}

func (v Views) RequestAsOf(ctx context.Context, id events.RequestID, at events.Seq) (Request, error) {
	return Requests{Pool: v.Pool}.AsOf(ctx, id, at)
}

func (v Views) CommitAt(ctx context.Context, t time.Time) (events.Seq, error) {
	return Audit{Pool: v.Pool}.At(ctx, t)
}

func (v Views) TimeOf(ctx context.Context, seq events.Seq) (time.Time, error) {
	return Audit{Pool: v.Pool}.TimeOf(ctx, seq)
}

func (v Views) SecretAsOf(ctx context.Context, id events.SecretID, at events.Seq) (Secret, error) {
	return Secrets{Pool: v.Pool}.AsOf(ctx, id, at)
}

func (v Views) DecidedBy(ctx context.Context, who events.UserID, f RequestFilter) (Page[Request], error) {
	return Requests{Pool: v.Pool}.DecidedBy(ctx, who, f)
}

func (v Views) UsualWait(ctx context.Context, workflow string) (time.Duration, int, error) {
	return Requests{Pool: v.Pool}.UsualWait(ctx, workflow)
}

func (v Views) Openable(ctx context.Context, ids []events.RequestID) ([]Envelope, error) {
	return Requests{Pool: v.Pool}.Openable(ctx, ids)
}

func (v Views) History(ctx context.Context, id events.RequestID) ([]AuditEvent, error) {
	return Requests{Pool: v.Pool}.History(ctx, id)
}

func (v Views) Connections(ctx context.Context, f ConnectionFilter) (Page[Connection], error) {
	return Connections{Pool: v.Pool}.List(ctx, f)
}

func (v Views) Connection(ctx context.Context, name events.ConnectionID) (Connection, error) {
	return Connections{Pool: v.Pool}.Get(ctx, name)
}

func (v Views) Agents(ctx context.Context, f AgentFilter) (Page[Agent], error) {
	return Agents{Pool: v.Pool}.List(ctx, f)
}

func (v Views) CountAgents(ctx context.Context) (online, enrolled int, err error) {
	return Agents{Pool: v.Pool}.Count(ctx)
}

func (v Views) Agent(ctx context.Context, id events.AgentID) (Agent, error) {
	return Agents{Pool: v.Pool}.Get(ctx, id)
}

func (v Views) Audit(ctx context.Context, f AuditFilter) (Page[AuditEvent], error) {
	return Audit{Pool: v.Pool}.List(ctx, f)
}

func (v Views) ExportAudit(ctx context.Context, f AuditFilter) (Page[AuditEvent], error) {
	return Audit{Pool: v.Pool}.Export(ctx, f)
}

func (v Views) CountAudit(ctx context.Context, f AuditFilter, by AuditFacet) (AuditCounts, error) {
	return Audit{Pool: v.Pool}.Count(ctx, f, by)
}

func (v Views) AuditHistogram(ctx context.Context, f AuditFilter) (AuditHistogram, error) {
	return Audit{Pool: v.Pool}.Histogram(ctx, f)
}

func (v Views) Jobs(ctx context.Context, f JobFilter) (Page[Job], error) {
	return Jobs{Pool: v.Pool}.List(ctx, f)
}

func (v Views) Job(ctx context.Context, id events.JobID) (Job, error) {
	return Jobs{Pool: v.Pool}.Get(ctx, id)
}

func (v Views) OpenJobsOf(ctx context.Context, after events.Seq, limit int) ([]Job, error) {
	return Jobs{Pool: v.Pool}.Open(ctx, after, limit)
}

func (v Views) LastJob(ctx context.Context, connection events.ConnectionID, operation events.Operation) (Job, error) {
	return Jobs{Pool: v.Pool}.Last(ctx, connection, operation)
}

func (v Views) Secrets(ctx context.Context, f SecretFilter) (Page[Secret], error) {
	return Secrets{Pool: v.Pool}.List(ctx, f)
}

func (v Views) Secret(ctx context.Context, id events.SecretID) (Secret, error) {
	return Secrets{Pool: v.Pool}.Get(ctx, id)
}

func (v Views) SecretStandings(ctx context.Context, ids []events.SecretID) (map[events.SecretID]Standing, error) {
	return Secrets{Pool: v.Pool}.Standings(ctx, ids)
}

func (v Views) PresentAfter(ctx context.Context, connection events.ConnectionID, after events.SecretID, limit int) ([]SecretName, error) {
	return Secrets{Pool: v.Pool}.PresentAfter(ctx, connection, after, limit)
}

func (v Views) CountSecrets(ctx context.Context, f SecretFilter) (Count, error) {
	return Secrets{Pool: v.Pool}.Count(ctx, f)
}

func (v Views) LabelFacets(ctx context.Context, f FacetFilter) ([]Facet, error) {
	return Secrets{Pool: v.Pool}.Facets(ctx, f)
}

func (v Views) StaleSecrets(ctx context.Context, f SecretFilter) (Page[Secret], error) {
	return Secrets{Pool: v.Pool}.Stale(ctx, f)
}

func (v Views) UnownedSecrets(ctx context.Context, f SecretFilter) (Page[Secret], error) {
	return Secrets{Pool: v.Pool}.Unowned(ctx, f)
}

func (v Views) OutOfBand(ctx context.Context, f SecretFilter) (Page[SecretChange], error) {
	return Secrets{Pool: v.Pool}.OutOfBand(ctx, f)
}

func (v Views) OwnershipRules(ctx context.Context) (version int, rules []events.OwnershipRule, seq events.Seq, err error) {
	return Secrets{Pool: v.Pool}.Rules(ctx)
}

func (v Views) Integrations(ctx context.Context, f IntegrationFilter) (Page[Integration], error) {
	return Integrations{Pool: v.Pool}.List(ctx, f)
}

func (v Views) Integration(ctx context.Context, name events.IntegrationID) (Integration, error) {
	return Integrations{Pool: v.Pool}.Get(ctx, name)
}

func (v Views) CountIntegrations(ctx context.Context) (int, error) {
	return Integrations{Pool: v.Pool}.Count(ctx)
}

func (v Views) MappingsOf(ctx context.Context, name events.IntegrationID, cursor string, limit int) (Page[Mapping], error) {
	return Integrations{Pool: v.Pool}.MappingsOf(ctx, name, cursor, limit)
}

package main

import (
	"context"
	"errors"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/build"
	"secretsbridge/nats"
	"secretsbridge/projections"
	"secretsbridge/store"
	"secretsbridge/web"
	"secretsbridge/web/app"
)

func (st *stack) api() (*web.API, error) {
	provider, err := st.signOn()
	if err != nil {
		return nil, err
	}
	cfg := web.Config{
		Log: st.facts, Views: projections.Views{Pool: st.pool, Progress: st.progress}, People: st.people, Sessions: st.sessions, Rights: st.rights, Circumstances: st.circumstances,
		Marks: marks{st.marks}, Custody: st.custody, Inventory: st.inventory, Scans: store.Scans{Pool: st.pool}, Fleet: st.gateway, Cosignatures: store.Checkpoints{Pool: st.pool}, Signer: st.keys.signing.key,
		PendingTTL: st.settings.PendingTTL, ApprovalTTL: st.settings.ApprovalTTL, RevealTTL: st.settings.RevealTTL,
		Reapprove: st.settings.Reapprove, OpenRequests: st.settings.OpenRequests,
		Ledger:       auditLog{st.ledger, store.Checkpoints{Pool: st.pool}, st.keys.checkpoints, st.store},
		Tree:         projections.Tree{Pool: st.pool},
		Integrations: st.integrations, Compare: st.comparer.compare, Support: st.supportBundle,
		Accounts: st.accounts, Directory: st.people, MachineTokens: store.Tokens{Pool: st.pool, Rows: st.rows},
		Limits: countedLimits{st.windows, st.figures}, Watch: httpFigures{st.figures}, Tracer: st.tracer.Port(), TrustedProxies: st.settings.Proxies, Factors: st.factors(),
		Logger: st.log, Now: time.Now, Site: app.Site(),
		Notices: store.Deliveries{Pool: st.pool}, Personal: st.integrations, Deliveries: deliveries{store.Deliveries{Pool: st.pool}},
		Installation: web.Installation{Version: build.Version(), KeyManager: st.settings.KMS.Backend, Issuer: st.settings.OIDC.Issuer, Mail: st.settings.SMTP.Host != ""},
	}
	if st.argocd != nil {
		cfg.GitOps = applications{st.argocd, views{pool: st.pool, progress: st.progress}}
	}
	if st.settings.external() { // there may be other servers
		cfg.Once = st.marks
	}
	if provider != nil { // a nil pointer in an interface is not nil
		cfg.SignOn = provider
	}
	return web.New(cfg), nil
}

// marks keeps the API's answers in NATS.
type marks struct{ *nats.Marks }

func (m marks) Begin(ctx context.Context, actor events.Actor, key string, call [32]byte) (web.Mark, *web.Answer, error) {
	begun, before, err := m.Marks.Begin(ctx, actor, key, call)
	switch {
	case errors.Is(err, nats.ErrKeyReused):
		return nil, nil, web.ErrKeyReused
	case errors.Is(err, nats.ErrInFlight):
		return nil, nil, web.ErrInFlight
	case err != nil:
		return nil, nil, err
	case before != nil:
		return nil, &web.Answer{Status: before.Status, Body: before.Body}, nil
	}
	return mark{m.Marks, begun}, nil, nil
}

type mark struct {
	marks *nats.Marks
	begun nats.Mark
}

func (m mark) Finish(ctx context.Context, a web.Answer) error {
	return m.marks.Finish(ctx, m.begun, nats.MarkResult{Status: a.Status, Body: a.Body})
}

func (m mark) Abandon(ctx context.Context) error { return m.marks.Abandon(ctx, m.begun) }

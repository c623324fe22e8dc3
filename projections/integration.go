package projections

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Integration is something outside that is told of facts, or that is looked at.
type Integration struct {
	Name           events.IntegrationID       `json:"name" db:"name"`
	Seq            events.Seq                 `json:"seq" db:"seq"`
	LastSeq        events.Seq                 `json:"last_seq" db:"last_seq"`
	State          command.IntegrationState   `json:"state" db:"state"`
	Kind           events.IntegrationKind     `json:"kind" db:"kind"`
	Settings       events.IntegrationSettings `json:"settings" db:"settings"`
	Secrets        []SecretSet                `json:"secrets" db:"secrets"`   // the newest of each, in the order they first came
	Mappings       int                        `json:"mappings" db:"mappings"` // that count
	DisabledReason string                     `json:"disabled_reason,omitempty" db:"disabled_reason"`
	CreatedAt      time.Time                  `json:"created_at" db:"created_at"`
	CreatedBy      events.Actor               `json:"created_by" db:"created_by"`
	ChangedAt      time.Time                  `json:"changed_at" db:"changed_at"`

	mapped []Mapping // also those that count no more, in the order they were added
}

// SecretSet says that there is a secret, never which.
type SecretSet struct {
	Secret  events.IntegrationSecret `json:"secret"`
	Version int                      `json:"version"`
	SetAt   time.Time                `json:"set_at"`
	Overlap time.Time                `json:"overlap,omitzero"` // until when the one before counts, too
}

// Mapping says which application uses which secrets.
type Mapping struct {
	Integration events.IntegrationID `json:"integration" db:"integration"`
	ID          events.MappingID     `json:"id" db:"id"`
	Seq         events.Seq           `json:"seq" db:"seq"`
	Connection  events.ConnectionID  `json:"connection" db:"connection"`
	Ref         string               `json:"ref,omitempty" db:"ref"`
	Labels      map[string]string    `json:"labels,omitempty" db:"labels"`
	Target      events.RolloutTarget `json:"target" db:"target"`
	Origin      events.MappingOrigin `json:"origin" db:"origin"`
	AddedAt     time.Time            `json:"added_at" db:"added_at"`
	RemovedAt   *time.Time           `json:"removed_at,omitempty" db:"removed_at"`
}

func (i *Integration) fold(seq events.Seq, e events.Event) {
	at := stored(e.Time)
	if f, ok := e.Fact.(events.IntegrationCreated); ok && i.Name == "" {
		*i = Integration{
			Name: events.IntegrationID(e.Stream.ID), Seq: seq, State: command.IntegrationActive, Kind: clean(f.Kind),
			Settings: cleanSettings(f.Settings), Secrets: []SecretSet{}, CreatedAt: at, CreatedBy: clean(e.Actor),
		}
	}
	if i.Name == "" {
		return
	}
	i.LastSeq, i.ChangedAt = seq, at
	switch f := e.Fact.(type) {
	case events.IntegrationChanged:
		i.Settings = cleanSettings(f.Settings)
	case events.IntegrationSecretSet:
		i.set(SecretSet{clean(f.Secret), f.Version, at, stored(f.Overlap)})
	case events.IntegrationDisabled:
		i.State, i.DisabledReason = command.IntegrationDisabled, clean(f.Reason)
	case events.IntegrationEnabled:
		i.State, i.DisabledReason = command.IntegrationActive, ""
	case events.IntegrationRemoved:
		i.State, i.DisabledReason, i.Secrets = command.IntegrationGone, clean(f.Reason), []SecretSet{}
		i.unmap(at, func(Mapping) bool { return true })
	case events.MappingAdded:
		i.add(Mapping{
			Integration: i.Name, ID: clean(f.Mapping), Seq: seq, Connection: clean(f.Secrets.Connection), Ref: clean(f.Secrets.Ref),
			Labels: cleanLabels(f.Secrets.Labels), Target: cleanTarget(f.Target), Origin: clean(f.Origin), AddedAt: at,
		})
	case events.MappingRemoved:
		i.unmap(at, func(m Mapping) bool { return m.ID == clean(f.Mapping) })
	}
}

func (i *Integration) set(s SecretSet) {
	// Secrets may be shared with a row that was written: it keeps its own.
	i.Secrets = slices.Clone(i.Secrets)
	if at := slices.IndexFunc(i.Secrets, func(had SecretSet) bool { return had.Secret == s.Secret }); at >= 0 {
		i.Secrets[at] = s
		return
	}
	i.Secrets = append(i.Secrets, s)
}

// add takes a mapping; one that was there before is another one from now on.
func (i *Integration) add(m Mapping) {
	if at := slices.IndexFunc(i.mapped, func(had Mapping) bool { return had.ID == m.ID }); at >= 0 {
		i.mapped[at] = m
	} else {
		i.mapped = append(i.mapped, m)
	}
	i.count()
}

func (i *Integration) unmap(at time.Time, is func(Mapping) bool) {
	for n := range i.mapped {
		if m := &i.mapped[n]; m.RemovedAt == nil && is(*m) {
			m.RemovedAt = &at
		}
	}
	i.count()
}

func (i *Integration) count() {
	i.Mappings = 0
	for _, m := range i.mapped {
		if m.RemovedAt == nil {
			i.Mappings++
		}
	}
}

func cleanSettings(s events.IntegrationSettings) events.IntegrationSettings {
	s.Address, s.CA, s.Cluster, s.Namespace, s.Description = clean(s.Address), clean(s.CA), clean(s.Cluster), clean(s.Namespace), clean(s.Description)
	s.Projects = cleanKeys(s.Projects)
	kinds := make([]events.NoticeKind, len(s.Notices))
	for n, k := range s.Notices {
		kinds[n] = clean(k)
	}
	s.Notices = kinds
	return s
}

func cleanTarget(t events.RolloutTarget) events.RolloutTarget {
	return events.RolloutTarget{
		Kind: clean(t.Kind), Namespace: clean(t.Namespace), Name: clean(t.Name), Selector: clean(t.Selector), Secret: clean(t.Secret),
	}
}

func newIntegrationView() view[Integration] {
	return view[Integration]{
		find: findIntegrations, fold: (*Integration).fold, done: func(i *Integration) bool { return i.State == command.IntegrationGone },
		known: func(i *Integration) bool { return i.Name != "" },
	}
}

func findIntegrations(ctx context.Context, conn *pgx.Conn, ids []string) (map[string]*Integration, error) {
	rows, err := integrationTable.rows(ctx, conn, ids)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	found := byKey(rows, func(i *Integration) string { i.inUTC(); return string(i.Name) })
	mapped, err := mappingTable.rows(ctx, conn, ids)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(mapped, func(a, b *Mapping) int { return int(a.Seq) - int(b.Seq) })
	for _, m := range mapped {
		m.inUTC()
		if i := found[string(m.Integration)]; i != nil {
			i.mapped = append(i.mapped, *m)
		}
	}
	return found, nil
}

// mappingsOf are the mappings of integrations, each once.
func mappingsOf(integrations []*Integration) (all []*Mapping) {
	for _, i := range integrations {
		for n := range i.mapped {
			all = append(all, &i.mapped[n])
		}
	}
	return all
}

var integrationTable = newTable("integrations", []string{"name"},
	text("name", func(i *Integration) events.IntegrationID { return i.Name }),
	number("seq", func(i *Integration) events.Seq { return i.Seq }),
	number("last_seq", func(i *Integration) events.Seq { return i.LastSeq }),
	text("state", func(i *Integration) command.IntegrationState { return i.State }),
	text("kind", func(i *Integration) events.IntegrationKind { return i.Kind }),
	document("settings", func(i *Integration) events.IntegrationSettings { return i.Settings }),
	document("secrets", func(i *Integration) []SecretSet { return i.Secrets }),
	number("mappings", func(i *Integration) int { return i.Mappings }),
	text("disabled_reason", func(i *Integration) string { return i.DisabledReason }),
	instant("created_at", func(i *Integration) time.Time { return i.CreatedAt }),
	text("created_by", func(i *Integration) events.Actor { return i.CreatedBy }),
	instant("changed_at", func(i *Integration) time.Time { return i.ChangedAt }),
)

var mappingTable = newTable("mappings", []string{"integration", "id"},
	text("integration", func(m *Mapping) events.IntegrationID { return m.Integration }),
	text("id", func(m *Mapping) events.MappingID { return m.ID }),
	number("seq", func(m *Mapping) events.Seq { return m.Seq }),
	text("connection", func(m *Mapping) events.ConnectionID { return m.Connection }),
	text("ref", func(m *Mapping) string { return m.Ref }),
	documentAs("jsonb", "labels", func(m *Mapping) map[string]string { return m.Labels }),
	document("target", func(m *Mapping) events.RolloutTarget { return m.Target }),
	text("origin", func(m *Mapping) events.MappingOrigin { return m.Origin }),
	instant("added_at", func(m *Mapping) time.Time { return m.AddedAt }),
	perhaps("removed_at", func(m *Mapping) *time.Time { return m.RemovedAt }),
)

func (i *Integration) inUTC() { utc(&i.CreatedAt, &i.ChangedAt) }

func (m *Mapping) inUTC() { utc(&m.AddedAt, m.RemovedAt) }

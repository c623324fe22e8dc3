package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/doctor"
	"secretsbridge/internal/postgres"
	"secretsbridge/projections"
)

// leastPostgres is the oldest Postgres that is supported (docs/how-to/production.md).
const leastPostgres = 15

// spareConnections are how many a server's pool should still find free.
const spareConnections = 10

// onPostgres makes a check of what needs Postgres. Where it is not reached, that is told by
// postgres.reach alone.
func (x *examination) onPostgres(ctx context.Context, look func(*pgxpool.Pool) doctor.Seen) doctor.Seen {
	pool, err := x.pool.get(ctx)
	if err != nil {
		return doctor.Unsure("", "Postgres is not reached, see postgres.reach")
	}
	return look(pool)
}

func (x *examination) postgresReached(ctx context.Context) doctor.Seen {
	pool, err := x.pool.get(ctx)
	if errors.Is(err, errNotRunning) {
		return doctor.Unsure("start it: sb-server serve, or sb-server dev", "%v", err)
	}
	if err != nil {
		return doctor.Fail("let this host reach it, and look at SB_DATABASE_URL: "+see("how-to/production.md"), "%v", err)
	}
	server, err := postgres.Examine(ctx, pool)
	switch {
	case err != nil:
		return doctor.Fail("look at Postgres' own log", "%v", err)
	case server.Number/10_000 < leastPostgres:
		return doctor.Fail(fmt.Sprintf("bring it to Postgres %d or newer", leastPostgres), "it is Postgres %s", server.Version)
	case server.Standby:
		return doctor.Fail("have SB_DATABASE_URL lead to the primary (target_session_attrs=read-write)", "this Postgres only reads: it is a standby")
	}
	return doctor.Fine("Postgres %s answers in %s", server.Version, server.After.Sub(server.Before).Round(100*time.Microsecond))
}

func (x *examination) postgresSchema(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		versions, err := SchemaVersions(ctx, pool)
		if err != nil {
			return doctor.Fail("let the login read the schemas: sb-server migrate grants it", "%v", err)
		}
		if err := fitting(versions); err != nil {
			return doctor.Fail("sb-server migrate --check, and "+see("operations/upgrades.md"), "%v", err)
		}
		var all []string
		for _, v := range versions {
			all = append(all, fmt.Sprintf("%s %d", v.Schema, v.Has))
		}
		return doctor.Fine("the schemas are those of this binary: %s", strings.Join(all, ", "))
	})
}

func (x *examination) postgresFacts(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		types, err := projections.Types(ctx, pool)
		if err != nil {
			return doctor.Unsure("see postgres.schema", "%v", err)
		}
		if err := allKnown(types); err != nil {
			return doctor.Fail("start the newer version again: "+see("operations/upgrades.md"), "%v", err)
		}
		return doctor.Fine("this binary knows all %d kinds of facts that were folded", len(types))
	})
}

// ownSchemas are those that the application's login must be able to fill, and not to change.
var ownSchemas = []string{"private", "views", "audit"}

func (x *examination) postgresLogin(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		login, err := postgres.ExamineLogin(ctx, pool, ownSchemas)
		if err != nil {
			return doctor.Unsure("look at Postgres' own log", "%v", err)
		}
		next := "have SB_DATABASE_URL sign in as " + postgres.AppRole + ", which `sb-server migrate` made, or take the power away (ALTER ROLE, REVOKE): " + see("security/hardening.md")
		switch {
		case len(login.Powers) > 0:
			return doctor.Fail(next, "login %s of SB_DATABASE_URL has %s: who takes this server could change the audit", login.Name, strings.Join(login.Powers, ", "))
		case login.Owner:
			return doctor.Fail(next, "login %s may act as %s: who takes this server could change the audit", login.Name, postgres.OwnerRole)
		case len(login.Owns) > 0:
			return doctor.Fail(next, "login %s owns %s", login.Name, doctor.Some(login.Owns))
		case len(login.Makes) > 0:
			return doctor.Fail(next, "login %s may make objects in %s", login.Name, strings.Join(login.Makes, ", "))
		}
		return doctor.Fine("login %s can neither change nor own a table", login.Name)
	})
}

func (x *examination) postgresAudit(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		guards, err := projections.ExamineGuards(ctx, pool)
		switch next := "ask who changed it, prove the audit (sb audit verify), and run sb-server rebuild: " + see("how-to/log-trouble.md"); {
		case err != nil:
			return doctor.Unsure("see postgres.schema", "%v", err)
		case len(guards.Off) > 0:
			return doctor.Fail(next, "triggers that keep the audit are gone or off: %s", doctor.Some(guards.Off))
		case len(guards.May) > 0:
			return doctor.Fail("revoke it from "+postgres.AppRole, "the server's login may %s", doctor.Some(guards.May))
		}
		return doctor.Fine("%d triggers refuse every change of the audit, and the login has no right to one", guards.Held)
	})
}

func (x *examination) postgresDurability(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		server, err := postgres.Examine(ctx, pool)
		next := "set it in postgresql.conf, or for the role where it was set there, and reload: " + see("security/hardening.md")
		said := fmt.Sprintf("fsync is %s, full_page_writes %s, synchronous_commit %s", server.FSync, server.FullPageWrites, server.SynchronousCommit)
		switch {
		case err != nil:
			return doctor.Unsure("look at Postgres' own log", "%v", err)
		case server.FSync != "on" || server.FullPageWrites != "on":
			return doctor.Fail(next, "%s: a power cut can spoil the database, and with it envelopes, people and the last checkpoint", said)
		case server.SynchronousCommit == "off":
			return doctor.Fail(next, "%s: what was just acknowledged is lost in a crash, such as that an envelope was used", said)
		}
		return doctor.Fine("%s", said)
	})
}

func (x *examination) postgresConnections(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		server, err := postgres.Examine(ctx, pool)
		if err != nil {
			return doctor.Unsure("look at Postgres' own log", "%v", err)
		}
		most, free := int(pool.Config().MaxConns), server.Connections-server.Connected
		text := fmt.Sprintf("%d of %d connections are taken, and one server takes up to %d", server.Connected, server.Connections, most)
		switch next := "raise max_connections, or lower pool_max_conns in SB_DATABASE_URL"; {
		case server.Login >= 0 && server.Login < most:
			return doctor.Warn("ALTER ROLE … CONNECTION LIMIT, or lower pool_max_conns in SB_DATABASE_URL", "%s; the login may have %d", text, server.Login)
		case free < spareConnections:
			return doctor.Warn(next, "%s", text)
		case server.Connections < most+spareConnections:
			return doctor.Warn(next, "%s", text)
		}
		return doctor.Fine("%s", text)
	})
}

func (x *examination) clockOfPostgres(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		if x.settings.DatabaseURL == "" {
			return doctor.None("the private Postgres has this machine's clock")
		}
		server, err := postgres.Examine(ctx, pool)
		if err != nil {
			return doctor.Unsure("see postgres.reach", "%v", err)
		}
		return doctor.Judge([]string{"Postgres"}, map[string]doctor.Offset{"Postgres": doctor.Heard(server.Clock, server.Before, server.After, time.Microsecond)})
	})
}

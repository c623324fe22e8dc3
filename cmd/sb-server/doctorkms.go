package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/doctor"
	"secretsbridge/internal/endpoint"
	"secretsbridge/kms"
	"secretsbridge/store"
)

// rotateWithin is how long a wrapping key should wrap (docs/operations/rotations.md).
const rotateWithin = 90 * 24 * time.Hour

// onKeys makes a check of what needs the key manager.
func (x *examination) onKeys(ctx context.Context, look func(*openedKeys) doctor.Seen) doctor.Seen {
	keys, err := x.keys.get(ctx)
	if err != nil {
		return doctor.Unsure("", "the key manager is not open, see kms.reach")
	}
	return look(keys)
}

func (x *examination) kmsReached(ctx context.Context) doctor.Seen {
	backend := x.settings.KMS.Backend
	keys, err := x.keys.get(ctx)
	if errors.Is(err, errNotRunning) {
		return doctor.Unsure("start it: sb-server serve, or sb-server dev", "%v", err)
	}
	if err != nil {
		return doctor.Fail(see("kms.md"), "%v", err)
	}
	if backend == kmsLocal { // its own check counts a wrap in the file
		return doctor.Fine("the keys in %s can be read; they open every value, and are for development", x.settings.path("keys", "kms.json"))
	}
	switch err := keys.manager.Check(ctx); {
	case errors.Is(err, kms.ErrUnavailable):
		return doctor.Fail("let this host reach it, and look at its own log: "+see("kms.md"), "key manager %s gives no answer: %v", backend, err)
	case err != nil:
		return doctor.Fail(see("kms.md")+" says which keys and rights it needs", "key manager %s cannot serve: %v", backend, err)
	}
	return doctor.Fine("key manager %s wraps, unwraps and makes fingerprints, and its login can make no key", backend)
}

func (x *examination) kmsProbed(ctx context.Context) doctor.Seen {
	return x.onKeys(ctx, func(keys *openedKeys) doctor.Seen {
		if keys.ring == nil {
			return doctor.Unsure("", "the keyring is not reached, see postgres.reach")
		}
		switch err := openProbe(ctx, keys.manager, keys.ring); {
		case errors.Is(err, errNoProbe):
			return doctor.None("no server was started with this keyring yet")
		case errors.Is(err, kms.ErrUnavailable):
			return doctor.Unsure("see kms.reach", "%v", err)
		case err != nil:
			return doctor.Fail(see("kms.md"), "%v", err)
		}
		return doctor.Fine("what was sealed before opens, and fingerprints are as before")
	})
}

func (x *examination) kmsAge(ctx context.Context) doctor.Seen {
	return x.onKeys(ctx, func(keys *openedKeys) doctor.Seen {
		aged, ok := keys.manager.(interface {
			PrimarySince(context.Context) (time.Time, error)
		})
		if !ok {
			return doctor.None("%s rotates by itself: aws kms get-key-rotation-status tells how it is set", x.settings.KMS.Backend)
		}
		since, err := aged.PrimarySince(ctx)
		if err != nil {
			return doctor.Unsure("see kms.reach", "%v", err)
		}
		age := time.Since(since)
		text := fmt.Sprintf("the key that wraps is %.0f days old", age.Hours()/24)
		if age > rotateWithin {
			return doctor.Warn("sb-server kms rotate, which does it or says how, then sb-server kms rewrap: "+see("operations/rotations.md"), "%s; rotate within %.0f", text, rotateWithin.Hours()/24)
		}
		return doctor.Fine("%s", text)
	})
}

// kmsEnvelopes looks for what is still wrapped with an older key: that key must not be removed.
func (x *examination) kmsEnvelopes(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		return x.onKeys(ctx, func(keys *openedKeys) doctor.Seen {
			primary, err := keys.manager.PrimaryKeyID(ctx)
			if err != nil {
				return doctor.Unsure("see kms.reach", "%v", err)
			}
			counts, err := store.Envelopes{Pool: pool}.CountByKey(ctx)
			if err != nil {
				return doctor.Unsure("see postgres.schema", "%v", err)
			}
			others := 0
			for _, key := range slices.Sorted(maps.Keys(counts)) {
				if key != primary {
					others += counts[key]
				}
			}
			if others > 0 {
				return doctor.Warn("sb-server kms rewrap, before an older key is removed", "%d data keys are wrapped with the key of now, and %d with older ones", counts[primary], others)
			}
			return doctor.Fine("%d data keys, all wrapped with the key of now", counts[primary])
		})
	})
}

// keysOpen opens every key of the ring, which changes none.
func (x *examination) keysOpen(ctx context.Context) doctor.Seen {
	return x.onKeys(ctx, func(keys *openedKeys) doctor.Seen {
		if keys.ring == nil {
			return doctor.Unsure("", "the keyring is not reached, see postgres.reach")
		}
		var problems []error
		missing := 0
		_, signing := openSigning(ctx, keys.ring)
		_, checkpoints := openCheckpointKeys(ctx, keys.ring)
		_, authority := openAuthority(ctx, keys.ring)
		for _, err := range []error{signing, checkpoints, authority} {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				missing++
				problems = append(problems, err)
			case errors.Is(err, kms.ErrUnavailable):
				return doctor.Unsure("see kms.reach", "%v", err)
			case err != nil:
				problems = append(problems, err)
			}
		}
		switch {
		case missing == 3:
			return doctor.None("no keys were made yet: the first start makes them")
		case missing == len(problems) && missing == 2 && authority == nil:
			return doctor.None("the keys of NATS were imported, and no server was started yet")
		case len(problems) > 0:
			return doctor.Fail("bring them back from a backup: "+see("operations/backup.md"), "%v", errors.Join(problems...))
		}
		return doctor.Fine("the signing key, the keys of checkpoints and those of NATS open")
	})
}

// clockOfKMS asks the key manager by the address that it has, without signing in.
func (x *examination) clockOfKMS(ctx context.Context) doctor.Seen {
	k := x.settings.KMS
	at, ca := "", ""
	switch k.Backend {
	case kmsTransit:
		at, ca = strings.TrimSuffix(k.TransitAddr, "/")+"/v1/sys/health", k.TransitCAFile
	case kmsAWS:
		at = k.AWSEndpoint
		if parts := strings.Split(k.AWSKey, ":"); at == "" && len(parts) > 3 {
			at = "https://kms." + parts[3] + ".amazonaws.com/"
		}
	}
	if at == "" {
		return doctor.None("the key manager has no clock of its own")
	}
	trust, err := endpoint.Trust(ca)
	if err != nil {
		return doctor.Unsure("see certificates.authorities", "%v", err)
	}
	transport := &http.Transport{TLSClientConfig: trust, Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	offset, err := doctor.HTTPClock(ctx, client, at)
	if err != nil {
		return doctor.Unsure("see kms.reach", "the key manager does not tell the time: %v", err)
	}
	return doctor.Judge([]string{k.Backend}, map[string]doctor.Offset{k.Backend: offset})
}

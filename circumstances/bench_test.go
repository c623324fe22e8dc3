package circumstances_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"secretsbridge/circumstances"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

// encoded is a log of bytes, as NATS has it, that ends where it ends.
type encoded struct {
	commandtest.Memory // empty: nobody said anything by hand
	raws               [][]byte
}

var errEnd = errors.New("the end of the log")

func (l *encoded) Last(context.Context) (events.Seq, error) { return events.Seq(len(l.raws)), nil }

func (l *encoded) At(_ context.Context, seq events.Seq) (events.Recorded, error) {
	decoded, err := events.Decode(l.raws[seq-1])
	if err != nil {
		return events.Recorded{}, err
	}
	return events.Recorded{Seq: seq, Stream: decoded[0].Stream, Events: decoded}, nil
}

func (l *encoded) Load(ctx context.Context, stream events.Stream) ([]events.Recorded, error) {
	if stream.Aggregate != events.AggregateInventory {
		return l.Memory.Load(ctx, stream)
	}
	var page int
	if _, err := fmt.Sscanf(stream.ID, "j_1-%d", &page); err != nil {
		return nil, err
	}
	c, err := l.At(ctx, events.Seq(page))
	return []events.Recorded{c}, err
}

func (l *encoded) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	for seq := after + 1; int(seq) <= len(l.raws); {
		var batch []events.Recorded
		for ; int(seq) <= len(l.raws) && len(batch) < limit; seq++ {
			c, err := l.At(ctx, seq)
			if err != nil {
				return err
			}
			batch = append(batch, c)
		}
		if err := deliver(ctx, batch); err != nil {
			return err
		}
	}
	return errEnd
}

// BenchmarkCircumstances folds a first scan of 1,000,000 secrets with three labels each, in pages
// of 500, and then looks secrets up. The ratio is to decoding the same commits.
func BenchmarkCircumstances(b *testing.B) {
	const secrets, pageSize = 1_000_000, 500
	log := &encoded{}
	for n := 0; n < secrets; n += pageSize {
		page := make([]events.SecretMetadata, pageSize)
		for i := range page {
			page[i] = events.SecretMetadata{
				Ref: fmt.Sprintf("apps/%03d/service-%d/password", (n+i)%997, n+i), Version: "1", Created: commandtest.Noon,
				Labels: map[string]string{"team": fmt.Sprintf("team-%d", n%10), "env": "prod", "tier": fmt.Sprintf("tier-%d", i%5)},
			}
		}
		id := events.NewCommandID()
		stream := events.PageStream("j_1", len(log.raws)+1)
		raw, err := events.Encode([]events.Event{{
			ID: events.EventID(string(id) + ".0"), Time: commandtest.Noon, Stream: stream, Actor: events.SystemActor("bench"), Correlation: events.CorrelationID(id), Command: id,
			Fact: events.SecretsFound{Scan: "j_1", Connection: connection, Secrets: page},
		}})
		if err != nil {
			b.Fatal(err)
		}
		log.raws = append(log.raws, raw)
	}
	b.Run("fold", func(b *testing.B) {
		before := live()
		reg := circumstances.New(log, log)
		began := time.Now()
		if err := reg.Run(b.Context()); !errors.Is(err, errEnd) {
			b.Fatal(err)
		}
		folded := time.Since(began)
		b.ReportMetric(float64(live()-before)/secrets, "B/secret")
		runtime.KeepAlive(reg)
		began = time.Now()
		if err := log.Follow(b.Context(), 0, 64, func(context.Context, []events.Recorded) error { return nil }); !errors.Is(err, errEnd) {
			b.Fatal(err)
		}
		b.ReportMetric(folded.Seconds()/time.Since(began).Seconds(), "ratio")
		b.ReportMetric(secrets/folded.Seconds(), "secrets/s")
	})
	b.Run("secret", func(b *testing.B) {
		reg := circumstances.New(log, log)
		if err := reg.Run(b.Context()); !errors.Is(err, errEnd) {
			b.Fatal(err)
		}
		for n := 0; b.Loop(); n += 7919 {
			n %= secrets
			got, err := reg.Secret(b.Context(), connection, fmt.Sprintf("apps/%03d/service-%d/password", n%997, n))
			if err != nil || len(got.Labels) != 3 {
				b.Fatal(got, err)
			}
		}
	})
}

// live is how many bytes are in use.
func live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

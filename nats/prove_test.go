package nats

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
)

// drifts are settings that the server accepts and the log must not have.
var drifts = map[string]func(*jetstream.StreamConfig){
	"subjects":                func(c *jetstream.StreamConfig) { c.Subjects = []string{"evt.request.*"} },
	"retention":               func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy },
	"max_consumers":           func(c *jetstream.StreamConfig) { c.MaxConsumers = 10 },
	"max_msgs":                func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 },
	"max_bytes":               func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 },
	"max_age":                 func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
	"max_msgs_per_subject":    func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 },
	"max_msg_size":            func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1024 },
	"discard":                 func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
	"discard_new_per_subject": func(c *jetstream.StreamConfig) { c.DiscardNewPerSubject, c.MaxMsgsPerSubject = true, 9 },
	"storage":                 func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
	"no_ack":                  func(c *jetstream.StreamConfig) { c.NoAck, c.AllowAtomicPublish = true, false },
	"duplicate_window":        func(c *jetstream.StreamConfig) { c.Duplicates = time.Second },
	"compression":             func(c *jetstream.StreamConfig) { c.Compression = jetstream.S2Compression },
	"first_seq":               func(c *jetstream.StreamConfig) { c.FirstSeq = 100 },
	"subject_transform": func(c *jetstream.StreamConfig) {
		c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "evt.a.>", Destination: "evt.b.>"}
	},
	"republish": func(c *jetstream.StreamConfig) {
		c.RePublish = &jetstream.RePublish{Source: ">", Destination: "leak.>"}
	},
	"sources":           func(c *jetstream.StreamConfig) { c.Sources = []*jetstream.StreamSource{{Name: "OTHER"}} },
	"allow_direct":      func(c *jetstream.StreamConfig) { c.AllowDirect = true },
	"deny_delete":       func(c *jetstream.StreamConfig) { c.DenyDelete = false },
	"deny_purge":        func(c *jetstream.StreamConfig) { c.DenyPurge = false },
	"allow_rollup_hdrs": func(c *jetstream.StreamConfig) { c.AllowRollup, c.DenyPurge = true, false },
	"allow_msg_ttl":     func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true },
	"allow_atomic":      func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false },
	"allow_batched":     func(c *jetstream.StreamConfig) { c.AllowBatchPublish = true },
	"persist_mode": func(c *jetstream.StreamConfig) {
		c.PersistMode, c.AllowAtomicPublish = jetstream.AsyncPersistMode, false
	},
	"consumer_limits": func(c *jetstream.StreamConfig) { c.ConsumerLimits.MaxAckPending = 5 },
}

func TestDriftOfTheLogIsFoundAndNamed(t *testing.T) {
	r := newRig(t, 1)
	provisioner, err := r.hub().ConnectProvisioner("test")
	if err != nil {
		t.Fatal(err)
	}
	defer provisioner.Close()
	js, err := jetstream.New(provisioner)
	if err != nil {
		t.Fatal(err)
	}
	for field, drift := range drifts {
		t.Run(field, func(t *testing.T) {
			if err := js.DeleteStream(t.Context(), "EVENTS"); err != nil {
				t.Fatal(err)
			}
			config := eventsConfig(1)
			drift(&config)
			if _, err := js.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			if err := r.streams.Provision(t.Context()); err != nil { // which leaves EVENTS alone
				t.Fatal(err)
			}
			err := r.streams.Prove(t.Context())
			if !errors.Is(err, command.ErrLogUnsafe) || !strings.Contains(err.Error(), field+" is ") {
				t.Errorf("Prove: %v, want unsafe because of %s", err, field)
			}
		})
	}
	t.Run("gone", func(t *testing.T) {
		if err := js.DeleteStream(t.Context(), "EVENTS"); err != nil {
			t.Fatal(err)
		}
		if err := r.streams.Prove(t.Context()); !errors.Is(err, command.ErrLogUnsafe) {
			t.Errorf("Prove: %v, want unsafe", err)
		}
	})
	t.Run("fewer replicas", func(t *testing.T) {
		if err := r.streams.Provision(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.streams.Prove(t.Context()); err != nil {
			t.Fatal(err)
		}
		three, err := NewStreams(r.nc, 3, r.hub().Durability, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := three.Prove(t.Context()); !errors.Is(err, command.ErrLogUnsafe) || !strings.Contains(err.Error(), "num_replicas is 1 and must be 3") {
			t.Errorf("Prove: %v", err)
		}
	})
}

// A setting that a later client library knows is compared, too.
func TestEveryFieldIsCompared(t *testing.T) {
	want := eventsConfig(1)
	for i := range reflect.TypeFor[jetstream.StreamConfig]().NumField() {
		have := eventsConfig(1)
		field := reflect.ValueOf(&have).Elem().Field(i)
		name, _, _ := strings.Cut(reflect.TypeFor[jetstream.StreamConfig]().Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" {
			t.Errorf("field %d has no name", i)
		}
		change(t, field)
		differ := differences(have, want)
		if found := len(differ) == 1 && differ[0].field == name; found == free[name] {
			t.Errorf("%s: found %v", name, differ)
		}
	}
}

func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString("other")
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Struct:
		change(t, v.Field(0))
	default:
		t.Fatalf("no way to change a %s", v.Kind())
	}
}

func TestServerThatAcknowledgesBeforeItStoresIsRefused(t *testing.T) {
	for name, replicas := range map[string]int{"embedded": 1, "cluster": 3} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, replicas)
			lazy := newLazy(t)
			durability := lazy.Durability
			if replicas == 3 { // as an external cluster tells it
				system, err := lazy.ConnectSystem("test")
				if err != nil {
					t.Fatal(err)
				}
				defer system.Close()
				durability = ReportedDurability(system)
			}
			streams, err := NewStreams(r.nc, replicas, durability, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = streams.Prove(t.Context())
			if !errors.Is(err, command.ErrLogUnsafe) || !strings.Contains(err.Error(), "sync_interval is not always") {
				t.Errorf("Prove: %v, want unsafe", err)
			}
		})
	}
	t.Run("a server that does not say", func(t *testing.T) {
		r := newRig(t, 1)
		streams, err := NewStreams(r.nc, 1, ReportedDurability(r.nc), nil) // not the system account
		if err != nil {
			t.Fatal(err)
		}
		if err := streams.Prove(t.Context()); !errors.Is(err, command.ErrLogUnsafe) {
			t.Errorf("Prove: %v, want unsafe", err)
		}
	})
}

// newLazy is a server without sync-always.
func newLazy(t *testing.T) *Hub {
	t.Helper()
	return startAll(t, HubConfig{Authority: newAuthority(t), Dir: t.TempDir(), unsynced: true, Logger: testLogger(t)})
}

func TestWatchReportsDrift(t *testing.T) {
	r := newRig(t, 1)
	r.streams.interval = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	store := openStore(t, r.nc)
	go func() { done <- r.streams.Watch(ctx, store) }()
	provisioner, err := r.hub().ConnectProvisioner("test")
	if err != nil {
		t.Fatal(err)
	}
	defer provisioner.Close()
	js, err := jetstream.New(provisioner)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Fatalf("Watch ended while all was well: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	config := eventsConfig(1)
	config.MaxMsgs = 1 // which the server accepts in spite of deny_delete
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, done); !errors.Is(err, command.ErrLogUnsafe) || !strings.Contains(err.Error(), "max_msgs is 1 and must be -1") {
		t.Errorf("Watch: %v", err)
	}
}

// The connections of the running system can neither change nor destroy the log.
func TestRunningSystemCannotTouchTheLogsSettings(t *testing.T) {
	r := newRig(t, 1)
	js, err := jetstream.New(r.nc)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	config := eventsConfig(1)
	config.MaxMsgs = 1
	if _, err := js.UpdateStream(short, config); err == nil {
		t.Error("the running system changed the log")
	}
	short, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := js.DeleteStream(short, "EVENTS"); err == nil {
		t.Error("the running system deleted the log")
	}
	if err := r.streams.Prove(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestProvisionRepairsTheQueue(t *testing.T) {
	r := newRig(t, 1)
	config := jobsConfig(1)
	config.MaxConsumers = unlimited
	config.MaxMsgs = 5
	if _, err := r.streams.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.streams.Provision(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	jobs, err := r.streams.js.Stream(t.Context(), "JOBS")
	if err != nil {
		t.Fatal(err)
	}
	if differ := differences(jobs.CachedInfo().Config, jobsConfig(1)); len(differ) > 0 {
		t.Errorf("after Provision: %v", differ)
	}
	windows, err := r.streams.js.Stream(t.Context(), "KV_windows")
	if err != nil {
		t.Fatal(err)
	}
	if differ := differences(windows.CachedInfo().Config, windowsConfig(1)); len(differ) > 0 {
		t.Errorf("after Provision: %v", differ)
	}
}

package nats

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/nats/subject"
)

// Ends and bounds of what is kept beside the log.
const (
	MarkTTL       = 24 * time.Hour  // of an idempotency mark, from its last change
	PresenceTTL   = 5 * time.Minute // an agent unheard for longer is not listed
	deadLetterAge = 7 * 24 * time.Hour
	maxClusters   = 20_000 // consumers of JOBS; the server's default is 1000

	// maxWindowBytes bounds the memory of rate windows: about half a million addresses or
	// people within a minute. Beyond it, those unseen for longest begin anew.
	maxWindowBytes = 128 << 20
	maxWindowSize  = 512 // of one, a time and its headers
)

// unlimited is how JetStream writes "no limit".
const unlimited = -1

// eventsConfig is the log. Limits retention without limits keeps everything, discard
// new refuses rather than forgets, and nothing may be deleted, purged or rolled up.
// Direct reads are off, because any replica would answer them, even a stale one; the
// persist mode is the default, because the other switches sync-always off.
func eventsConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: subject.EventsStream, Subjects: []string{subject.AllEvents},
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage, Replicas: replicas,
		MaxConsumers: unlimited, MaxMsgs: unlimited, MaxBytes: unlimited, MaxMsgsPerSubject: unlimited, MaxMsgSize: unlimited,
		Duplicates: 2 * time.Minute,
		DenyDelete: true, DenyPurge: true, AllowAtomicPublish: true,
	}
}

// jobsConfig is the queue of tickets. It is a transport: EVENTS holds the truth and a
// lost ticket is published again, so it may be faster than safe.
func jobsConfig(replicas int) jetstream.StreamConfig {
	config := jetstream.StreamConfig{
		Name: subject.JobsStream, Subjects: []string{subject.AllJobs},
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage, Replicas: replicas,
		MaxConsumers: maxClusters, MaxMsgs: unlimited, MaxBytes: unlimited, MaxMsgsPerSubject: unlimited, MaxMsgSize: unlimited,
		Duplicates: 100 * time.Millisecond, // unused: publishing is idempotent by subject
	}
	if replicas == 1 {
		config.PersistMode = jetstream.AsyncPersistMode // one replica only, says the server
	}
	return config
}

// deadLettersConfig keeps the server's advisories about jobs until they are handled.
func deadLettersConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: subject.DeadLettersStream, Subjects: []string{subject.AllMaxDeliveries, subject.AllTerminated},
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardOld, Storage: jetstream.FileStorage, Replicas: replicas,
		MaxConsumers: unlimited, MaxMsgs: unlimited, MaxBytes: unlimited, MaxMsgsPerSubject: unlimited, MaxMsgSize: unlimited,
		MaxAge: deadLetterAge, Duplicates: 2 * time.Minute,
	}
}

// bucketConfigs are the key-value buckets.
func bucketConfigs(replicas int) []jetstream.KeyValueConfig {
	return []jetstream.KeyValueConfig{
		{Bucket: subject.MarksBucket, Storage: jetstream.FileStorage, Replicas: replicas, History: 1, LimitMarkerTTL: time.Second},
		{Bucket: subject.PresenceBucket, Storage: jetstream.MemoryStorage, Replicas: replicas, History: 1, TTL: PresenceTTL},
		// On disk, so that fencing tokens never fall.
		{Bucket: subject.LeasesBucket, Storage: jetstream.FileStorage, Replicas: replicas, History: 1, LimitMarkerTTL: time.Second},
		{Bucket: subject.CachesBucket, Storage: jetstream.MemoryStorage, Replicas: replicas, History: 1, TTL: cacheTerm},
	}
}

// windowsConfig is a key-value bucket like the others, but one that forgets the oldest
// when it is full: a bucket would refuse everybody then. It is in memory: after a restart
// of NATS everybody begins anew, and locks of accounts are not here (decision 0094).
func windowsConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: subject.BucketStream(subject.WindowsBucket), Subjects: []string{subject.KeyValue(subject.WindowsBucket, ">")},
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld, Storage: jetstream.MemoryStorage, Replicas: replicas,
		MaxConsumers: unlimited, MaxMsgs: unlimited, MaxBytes: maxWindowBytes, MaxMsgsPerSubject: 1, MaxMsgSize: maxWindowSize,
		Duplicates:  2 * time.Minute,
		AllowMsgTTL: true, AllowDirect: true, DenyDelete: true,
	}
}

// difference is one setting of a stream that is not what it must be.
type difference struct {
	field      string // as JetStream's JSON calls it
	have, want any
}

func (d difference) String() string {
	return fmt.Sprintf("%s is %v and must be %v", d.field, d.have, d.want)
}

// free fields may be an operator's own choice; the server writes into them too.
var free = map[string]bool{"description": true, "metadata": true, "placement": true}

// differences compares every field that the client library knows, so that a setting
// of a later version cannot go unnoticed.
func differences(have, want jetstream.StreamConfig) []difference {
	var all []difference
	h, w := reflect.ValueOf(have), reflect.ValueOf(want)
	for i := range h.NumField() {
		name, _, _ := strings.Cut(h.Type().Field(i).Tag.Get("json"), ",")
		if free[name] || reflect.DeepEqual(h.Field(i).Interface(), w.Field(i).Interface()) {
			continue
		}
		all = append(all, difference{field: name, have: show(h.Field(i)), want: show(w.Field(i))})
	}
	return all
}

// show looks through pointers, so that an error does not print addresses.
func show(v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "unset"
		}
		return fmt.Sprintf("%+v", v.Elem().Interface())
	}
	return v.Interface()
}

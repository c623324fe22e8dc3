package awssm

import (
	"crypto/rand"
	"maps"
	"slices"
	"time"

	"secretsbridge/test/servers/awsjson"
)

// The staging labels that AWS itself moves.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// maxLabels is how many staging labels a secret has (User Guide, quotas).
const maxLabels = 20

type secret struct {
	name, arn string
	number    int // of its creation
	created   time.Time
	changed   time.Time
	accessed  time.Time // the day, UTC
	deleted   time.Time // zero: it is not
	primary   string    // "" or the region that it is a replica of
	rotation  bool
	tags      map[string]string
	versions  []version
	labels    map[string]string // which version has which staging label
}

// version is one value. It never changes.
type version struct {
	id      string
	created time.Time
	content content
}

type content struct {
	text   string
	binary string // base64
}

func (one *secret) find(id string) *version {
	for i := range one.versions {
		if one.versions[i].id == id {
			return &one.versions[i]
		}
	}
	return nil
}

// put adds a version. The first of a secret is current whatever its labels are (API
// Reference, PutSecretValue).
func (one *secret) put(id string, value content, labels []string) {
	one.changed = time.Now()
	if len(one.versions) == 0 && !slices.Contains(labels, current) {
		labels = append(labels, current)
	}
	one.versions = append(one.versions, version{id: id, created: one.changed, content: value})
	for _, label := range labels {
		one.move(label, id)
	}
	one.prune()
}

// move attaches a label to a version, and AWSPREVIOUS to the one that was current.
func (one *secret) move(label, to string) {
	if before := one.labels[current]; label == current && before != "" && before != to {
		one.labels[previous] = before
	}
	if label == current && one.labels[previous] == to {
		delete(one.labels, previous) // it is current again, and nothing was before it
	}
	one.labels[label] = to
}

// prune removes versions without labels, once there are more than 100 and they are a day
// old (User Guide, quotas).
func (one *secret) prune() {
	stages := one.stages()
	one.versions = slices.DeleteFunc(one.versions, func(v version) bool {
		return len(one.versions) > 100 && stages[v.id] == nil && time.Since(v.created) > 24*time.Hour
	})
}

// stages are the versions with labels.
func (one *secret) stages() map[string][]string {
	stages := map[string][]string{}
	for _, label := range slices.Sorted(maps.Keys(one.labels)) {
		stages[one.labels[label]] = append(stages[one.labels[label]], label)
	}
	return stages
}

// usable refuses what AWS refuses of a secret that waits for its end, and changes of a
// replica.
func (one *secret) usable(write bool) *failure {
	switch {
	case !one.deleted.IsZero():
		return fail("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
	case write && one.primary != "":
		return fail("InvalidRequestException", "Operation not permitted on a replica secret. Call must be made in primary secret's region.")
	}
	return nil
}

// describe is what DescribeSecret and ListSecrets say.
func (one *secret) describe() map[string]any {
	d := map[string]any{"ARN": one.arn, "Name": one.name, "CreatedDate": awsjson.Epoch(one.created), "LastChangedDate": awsjson.Epoch(one.changed)}
	if !one.accessed.IsZero() {
		d["LastAccessedDate"] = awsjson.Epoch(one.accessed)
	}
	if !one.deleted.IsZero() {
		d["DeletedDate"] = awsjson.Epoch(one.deleted)
	}
	if one.primary != "" {
		d["PrimaryRegion"] = one.primary
	}
	if one.rotation {
		d["RotationEnabled"] = true
	}
	if len(one.tags) > 0 {
		var tags []map[string]string
		for _, key := range slices.Sorted(maps.Keys(one.tags)) {
			tags = append(tags, map[string]string{"Key": key, "Value": one.tags[key]})
		}
		d["Tags"] = tags
	}
	return d
}

// suffix are the six characters at the end of an ARN.
func suffix() string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, 6)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b)
}

package projections

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// labelKey is half of a SHA-256: labels are longer than an index takes.
type labelKey = [16]byte

// keyOfName and keyOfLabel cannot meet: the first part has its length before it, and
// only one of them has a second.
func keyOfName(name string) labelKey { return keyOf(name, "", 0) }

func keyOfLabel(name, value string) labelKey { return keyOf(name, value, 1) }

func keyOf(name, value string, kind byte) labelKey {
	b := make([]byte, 0, 128)
	b = binary.AppendUvarint(append(b, kind), uint64(len(name)))
	h := sha256.Sum256(append(append(b, name...), value...))
	return labelKey(h[:16])
}

// queueLabels keeps one row for each label of each secret, present or gone.
func (f *findings) queueLabels(queue *pgx.Batch) {
	var added, removed labelRows
	for _, row := range f.touched {
		if row.now == nil {
			continue
		}
		var before map[string]string
		if row.before != nil {
			before = row.before.Labels
		}
		for name, value := range row.now.Labels {
			if old, ok := before[name]; !ok || old != value {
				added = append(added, labelRow{keyOfLabel(name, value), row.now.Place})
			}
		}
		for name, value := range before {
			if now, ok := row.now.Labels[name]; !ok || now != value {
				removed = append(removed, labelRow{keyOfLabel(name, value), row.now.Place})
			}
		}
	}
	if len(removed) > 0 {
		labels, places := removed.arrays()
		queue.Queue(`
			DELETE FROM secret_labels l
			USING  unnest($1::uuid[], $2::bigint[]) AS removed (label, place)
			WHERE  l.label = removed.label
			AND    l.place = removed.place`, labels, places)
	}
	if len(added) > 0 {
		labels, places := added.arrays()
		queue.Queue(`
			INSERT INTO secret_labels (label, place)
			SELECT label, place
			FROM   unnest($1::uuid[], $2::bigint[]) AS added (label, place)`, labels, places)
	}
}

// labelRow is a row of secret_labels.
type labelRow struct {
	label labelKey
	place int64
}

type labelRows []labelRow

// arrays sorts: hashes in their order meet each page of the index once.
func (rows labelRows) arrays() (labels []labelKey, places []int64) {
	slices.SortFunc(rows, func(a, b labelRow) int {
		return cmp.Or(bytes.Compare(a.label[:], b.label[:]), cmp.Compare(a.place, b.place))
	})
	labels, places = make([]labelKey, len(rows)), make([]int64, len(rows))
	for i, row := range rows {
		labels[i], places[i] = row.label, row.place
	}
	return labels, places
}

// labelCount is one counter: of a name if parent is zero, or else of a label.
type labelCount struct {
	label       labelKey
	connection  events.ConnectionID
	parent      labelKey
	name, value string
}

// statusCount is one counter of secrets.
type statusCount struct {
	connection events.ConnectionID
	status     SecretStatus
}

// counts are what counters grow or shrink by.
type counts struct {
	secrets map[statusCount]int64
	labels  map[labelCount]int64
}

// add counts a secret n times.
func (c counts) add(s *secretRow, n int64) {
	c.secrets[statusCount{s.Connection, s.Status}] += n
	if s.Status != SecretPresent {
		return
	}
	for name, value := range s.Labels {
		parent := keyOfName(name)
		c.labels[labelCount{parent, s.Connection, labelKey{}, name, ""}] += n
		c.labels[labelCount{keyOfLabel(name, value), s.Connection, parent, name, value}] += n
	}
}

// queueCounts moves the counters by what is different now. A counter that falls to
// zero goes, so that no history leaves another row behind than any other.
func (f *findings) queueCounts(queue *pgx.Batch) {
	c := counts{map[statusCount]int64{}, map[labelCount]int64{}}
	for _, row := range f.touched {
		if row.before != nil {
			c.add(row.before, -1)
		}
		if row.now != nil {
			c.add(row.now, 1)
		}
	}
	c.queueSecrets(queue)
	c.queueLabels(queue)
}

func (c counts) queueSecrets(queue *pgx.Batch) {
	var connections, states []string
	var by []int64
	for key, n := range c.secrets {
		if n != 0 {
			connections, states, by = append(connections, string(key.connection)), append(states, string(key.status)), append(by, n)
		}
	}
	if len(by) == 0 {
		return
	}
	queue.Queue(`
		INSERT INTO secret_counts AS c (connection, status, n)
		SELECT connection, status, n
		FROM   unnest($1::text[], $2::text[], $3::bigint[]) AS moved (connection, status, n)
		ON CONFLICT (connection, status) DO UPDATE SET n = c.n + excluded.n`, connections, states, by)
	if slices.Min(by) < 0 {
		queue.Queue("DELETE FROM secret_counts WHERE n = 0")
	}
}

func (c counts) queueLabels(queue *pgx.Batch) {
	var labels, parents, fallen []labelKey
	var connections, names, values []string
	var by []int64
	keys := slices.SortedFunc(maps.Keys(c.labels), func(a, b labelCount) int { return bytes.Compare(a.label[:], b.label[:]) })
	for _, key := range keys {
		n := c.labels[key]
		if n == 0 {
			continue
		}
		labels, connections, parents = append(labels, key.label), append(connections, string(key.connection)), append(parents, key.parent)
		names, values, by = append(names, key.name), append(values, key.value), append(by, n)
		if n < 0 {
			fallen = append(fallen, key.label)
		}
	}
	if len(by) == 0 {
		return
	}
	queue.Queue(`
		INSERT INTO label_counts AS c (label, connection, parent, name, value, n)
		SELECT label, connection, parent, name, value, n
		FROM   unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::bigint[])
		       AS moved (label, connection, parent, name, value, n)
		ON CONFLICT (label, connection) DO UPDATE SET n = c.n + excluded.n`, labels, connections, parents, names, values, by)
	if len(fallen) > 0 {
		queue.Queue(`
			DELETE FROM label_counts
			WHERE  label = ANY ($1)
			AND    n = 0`, fallen)
	}
}

package projections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// ownershipRow is the rules in force. Its texts are clean.
type ownershipRow struct {
	Version int
	Seq     events.Seq // 0: nobody has made rules yet
	Rules   []events.OwnershipRule
}

func ownershipOf(seq events.Seq, f events.OwnershipRulesSet) *ownershipRow {
	row := &ownershipRow{Version: f.Version, Seq: seq, Rules: make([]events.OwnershipRule, len(f.Rules))}
	for i, r := range f.Rules {
		row.Rules[i] = events.OwnershipRule{
			Connection: clean(r.Connection), Prefix: clean(r.Prefix),
			Owner: clean(r.Owner), OwnerLabel: clean(r.OwnerLabel),
			Environment: clean(r.Environment), EnvironmentLabel: clean(r.EnvironmentLabel),
		}
		if len(r.Labels) > 0 {
			row.Rules[i].Labels = cleanLabels(r.Labels)
		}
	}
	return row
}

// readOwnership returns the rules in force; none is the zero row. Table is
// "ownership_rules" with or without a schema.
func readOwnership(ctx context.Context, db querier, table string) (*ownershipRow, error) {
	row := &ownershipRow{}
	var rules []byte
	err := db.QueryRow(ctx, "SELECT version, seq, rules FROM "+table).Scan(&row.Version, &row.Seq, &rules)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, nil
	}
	if err == nil {
		err = json.Unmarshal(rules, &row.Rules)
	}
	if err != nil {
		return nil, fmt.Errorf("read the rules of ownership: %w", err)
	}
	return row, nil
}

// inForce returns the rules after a batch.
func (v *inventory) inForce(ctx context.Context, conn *pgx.Conn, f *findings) (*ownershipRow, error) {
	if f.rules != nil {
		v.rules = f.rules
	}
	if v.rules == nil {
		read, err := readOwnership(ctx, conn, "ownership_rules")
		if err != nil {
			return nil, err
		}
		v.rules = read
	}
	return v.rules, nil
}

// assignment is what people said of one secret by hand.
type assignment struct {
	Secret             events.SecretID
	Owner, Environment string // empty: as the rules say
	Seq                events.Seq
}

var assignmentTable = newTable("secret_assignments", []string{"secret"},
	text("secret", func(a *assignment) events.SecretID { return a.Secret }),
	text("owner", func(a *assignment) string { return a.Owner }),
	text("environment", func(a *assignment) string { return a.Environment }),
	number("seq", func(a *assignment) events.Seq { return a.Seq }),
)

func (f *findings) assigned(c events.Recorded, fact events.SecretAssigned) {
	id := events.SecretID(c.Stream.ID)
	f.hands[id] = &assignment{id, clean(fact.Owner), clean(fact.Environment), c.Seq}
}

// queueOwners says again whose those secrets are that changed, were assigned, or, after
// other rules, all. It is a function of the rows as they are then, so how the facts
// were cut into batches does not matter.
func (f *findings) queueOwners(queue *pgx.Batch, rules *ownershipRow) error {
	var ids []string
	var hands []*assignment
	for _, row := range f.touched {
		if row.now != nil {
			ids = append(ids, string(row.now.ID))
		}
	}
	for id, hand := range f.hands {
		ids, hands = append(ids, string(id)), append(hands, hand)
	}
	if err := assignmentTable.queue(queue, hands); err != nil {
		return err
	}
	if len(hands) > 0 {
		queue.Queue(`
			UPDATE secrets s
			SET    last_seq = a.seq
			FROM   secret_assignments a
			WHERE  a.secret = ANY ($1)
			AND    s.id = a.secret
			AND    s.last_seq < a.seq`, ids)
	}
	if f.rules != nil {
		stored, err := json.Marshal(f.rules.Rules)
		if err != nil {
			return err
		}
		queue.Queue(`
			INSERT INTO ownership_rules (setting, version, seq, rules)
			VALUES ('ownership', $1, $2, $3::text::json)
			ON CONFLICT (setting) DO UPDATE SET version = excluded.version, seq = excluded.seq, rules = excluded.rules`,
			f.rules.Version, f.rules.Seq, string(stored))
	}
	if len(ids) > 0 {
		sql, args := rules.outcome("WHERE s.id = ANY (?)", ids)
		queue.Queue(`
			INSERT INTO secret_owners AS o (place, owner, owner_from, environment, environment_from)`+sql+`
			ON CONFLICT (place) DO UPDATE SET
				owner = excluded.owner, owner_from = excluded.owner_from,
				environment = excluded.environment, environment_from = excluded.environment_from
			WHERE (o.owner, o.owner_from, o.environment, o.environment_from) IS DISTINCT FROM
			      (excluded.owner, excluded.owner_from, excluded.environment, excluded.environment_from)`, args...)
	}
	if f.rules != nil {
		sql, args := rules.outcome("")
		queue.Queue(`
			UPDATE secret_owners o
			SET    owner = n.owner,
			       owner_from = n.owner_from,
			       environment = n.environment,
			       environment_from = n.environment_from
			FROM   (`+sql+`) n
			WHERE  n.place = o.place
			AND    (o.owner, o.owner_from, o.environment, o.environment_from) IS DISTINCT FROM
			       (n.owner, n.owner_from, n.environment, n.environment_from)`, args...)
	}
	return nil
}

// outcome is a SELECT that says whose secrets are: by hand, or else by the first rule
// that matches and says something. Only texts of rules are arguments, so rules of the
// same shape are the same statement.
func (r *ownershipRow) outcome(where string, args ...any) (string, []any) {
	return r.outcomeOf("", where, args...)
}

// outcomeOf is likewise, of tables that may be given in place of those of the views. A question
// mark in with or where is the next argument.
func (r *ownershipRow) outcomeOf(with, where string, args ...any) (string, []any) {
	var b arguments
	owner := b.choose(r.Rules, func(r events.OwnershipRule) (string, string) { return r.Owner, r.OwnerLabel })
	environment := b.choose(r.Rules, func(r events.OwnershipRule) (string, string) { return r.Environment, r.EnvironmentLabel })
	for _, arg := range args {
		if strings.Contains(with, "?") {
			with = strings.Replace(with, "?", b.add(arg), 1)
			continue
		}
		where = strings.Replace(where, "?", b.add(arg), 1)
	}
	return with + `
		SELECT place,
		       coalesce(hand_owner, rule_owner, '') AS owner,
		       CASE WHEN hand_owner IS NOT NULL THEN 'hand' WHEN rule_owner IS NOT NULL THEN 'rule' ELSE '' END AS owner_from,
		       coalesce(hand_environment, rule_environment, '') AS environment,
		       CASE WHEN hand_environment IS NOT NULL THEN 'hand' WHEN rule_environment IS NOT NULL THEN 'rule' ELSE '' END AS environment_from
		FROM   (
			SELECT s.place,
			       nullif(a.owner, '') AS hand_owner,
			       nullif(a.environment, '') AS hand_environment,
			       ` + owner + ` AS rule_owner,
			       ` + environment + ` AS rule_environment
			FROM   secrets s
			LEFT   JOIN secret_assignments a ON a.secret = s.id
			` + where + `
			OFFSET 0
		) said`, b.args
}

// arguments numbers what a statement is called with.
type arguments struct{ args []any }

func (b *arguments) add(arg any) string {
	b.args = append(b.args, arg)
	return "$" + strconv.Itoa(len(b.args))
}

// choose is an expression for one field: null if no rule says anything.
func (b *arguments) choose(rules []events.OwnershipRule, field func(events.OwnershipRule) (text, label string)) string {
	var cases strings.Builder
	for _, r := range rules {
		text, label := field(r)
		if text == "" && label == "" {
			continue
		}
		when := b.matches(r)
		var says string
		if text != "" {
			says = b.add(text) + "::text"
		} else {
			says = "(s.labels ->> " + b.add(label) + "::text)"
			when = append(when, says+" <> ''")
		}
		if len(when) == 0 {
			when = []string{"true"}
		}
		fmt.Fprintf(&cases, "\n\t\t\t       WHEN %s THEN %s", strings.Join(when, " AND "), says)
	}
	if cases.Len() == 0 {
		return "NULL::text"
	}
	return "CASE" + cases.String() + " END"
}

// matches are the conditions of one rule.
func (b *arguments) matches(r events.OwnershipRule) []string {
	var when []string
	if r.Connection != "" {
		when = append(when, "s.connection = "+b.add(string(r.Connection))+"::text")
	}
	if r.Prefix != "" {
		when = append(when, "starts_with(s.ref, "+b.add(r.Prefix)+"::text)")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
		when = append(when, "s.labels ->> "+b.add(name)+"::text = "+b.add(r.Labels[name])+"::text")
	}
	return when
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web/api/client"
)

// replaying is what sb audit replay is told.
type replaying struct {
	events           string
	at, from, to     string
	views            []string
	database, schema string
}

func replayAuditCommand(a *cli) *cobra.Command {
	var r replaying
	c := &cobra.Command{
		Use:   "replay",
		Short: "Fold the log again, and show views as they were",
		Long: "Folds the log from its first commit, with the folds of the server, and shows what the views held then.\n" +
			"A moment is the sequence of the last commit that counts; or a time, which stands for the last commit\n" +
			"that is not later; or how long ago, such as 24h.\n\n" +
			"With --at, each row is an object on a line, with its view, its key and its columns. With --from and --to,\n" +
			"each row that is different at the end, with what it was before. Without --to that is the end of the log.\n\n" +
			"With --database and --schema, it makes every view, also the inventory, in two new schemas of a Postgres\n" +
			"of yours, by the migrations of the server: NAME and NAME_audit. They stay for you to query, and it says\n" +
			"how to drop them. A password is taken from PGPASSWORD or a password file only.\n\n" +
			"The log comes from the server, by way of a temporary file, or from a file in which line i is the commit\n" +
			"with sequence i: sb audit verify tells whether it is what was signed. What it folded is told with the\n" +
			"root of its tree, which is that of the checkpoint of that size.",
		Example: "  sb audit replay --at 2026-11-24T09:30:00Z --view requests --view envelopes\n" +
			"  sb audit replay --events events.jsonl --from 1200 --to 1300\n" +
			"  sb audit replay --at 24h --database postgres://localhost/scratch --schema yesterday",
		Args: takes(),
		RunE: func(c *cobra.Command, args []string) error {
			if err := r.check(); err != nil {
				return err
			}
			if r.events != "" {
				return r.run(a, c, nil)
			}
			return a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error { return r.run(a, c, to) })(c, args)
		},
	}
	flags := c.Flags()
	flags.StringVar(&r.at, "at", "", "the moment to show: a sequence, a time (RFC 3339), or how long ago")
	flags.StringVar(&r.from, "from", "", "the moment to tell changes from")
	flags.StringVar(&r.to, "to", "", "the moment to tell them to; without it, the end of the log")
	flags.StringVar(&r.events, "events", "", "an events file, or - for standard input")
	flags.StringArrayVar(&r.views, "view", nil, "only this view, and others with it again: "+strings.Join(projections.ReplayViews(), ", "))
	flags.StringVar(&r.database, "database", "", "a connection string of Postgres, without a password, to make all views there")
	flags.StringVar(&r.schema, "schema", "", "the name of a schema that does not exist, to make them in")
	return c
}

func (r *replaying) check() error {
	known := projections.ReplayViews()
	for _, view := range r.views {
		if !slices.Contains(known, view) {
			return usage("--view is one of %s; the inventory and the audit are made by --database and --schema", strings.Join(known, ", "))
		}
	}
	switch {
	case r.at != "" && (r.from != "" || r.to != ""):
		return usage("--at shows one moment, --from and --to what changed between two; say one or the other")
	case r.at == "" && r.from == "":
		return usage("--at or --from must be given; see sb audit replay --help")
	case (r.database == "") != (r.schema == ""):
		return usage("--database and --schema belong together")
	case r.database != "" && (r.at == "" || len(r.views) > 0):
		return usage("--database and --schema make every view as of one moment: give --at, without --view")
	}
	if len(r.views) == 0 {
		r.views = known
	}
	return nil
}

func (r *replaying) run(a *cli, c *cobra.Command, to *client.Client) error {
	moments := []string{r.from, r.to}
	if r.at != "" {
		moments = []string{r.at}
	}
	wanted := make([]wanted, len(moments))
	for i, text := range moments {
		var err error
		if wanted[i], err = readMoment(text, time.Now()); err != nil {
			return err
		}
	}
	log, err := openLog(c, r.events, to, wanted)
	if err != nil {
		return err
	}
	defer log.close()
	seqs := make([]events.Seq, len(wanted))
	for i, w := range wanted {
		if seqs[i], err = log.find(c.Context(), w); err != nil {
			return err
		}
	}
	switch {
	case r.at != "" && seqs[0] == 0:
		return fail("not_recorded_then", "nothing was recorded then")
	case r.database != "":
		return r.intoSchema(a, c, log, seqs[0])
	case r.at != "":
		return r.show(c, log, seqs[0])
	case seqs[0] > seqs[1]:
		return usage("--from is commit %d, and that is after --to, commit %d", seqs[0], seqs[1])
	}
	return r.tellChanges(c, log, seqs[0], seqs[1])
}

// show writes the rows of views as of a commit.
func (r *replaying) show(c *cobra.Command, log *eventsLog, at events.Seq) error {
	replay := projections.NewReplay()
	if err := log.fold(c.Context(), replay, at); err != nil {
		return err
	}
	out := bufio.NewWriter(c.OutOrStdout())
	for _, view := range r.views {
		err := replay.Rows(view, func(row projections.ReplayedRow) error {
			return writeLine(out, struct {
				View string `json:"view"`
				projections.ReplayedRow
			}{view, row})
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(out.Flush(), log.tell(c))
}

// tellChanges writes the rows that are not as they were.
func (r *replaying) tellChanges(c *cobra.Command, log *eventsLog, from, to events.Seq) error {
	replay := projections.NewReplay()
	if err := log.fold(c.Context(), replay, from); err != nil {
		return err
	}
	replay.Mark()
	if err := log.fold(c.Context(), replay, to); err != nil {
		return err
	}
	changes, err := replay.Changes(r.views)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.OutOrStdout())
	for _, change := range changes {
		if err := writeLine(out, change); err != nil {
			return err
		}
	}
	return errors.Join(out.Flush(), log.tell(c))
}

// intoSchema makes every view in Postgres.
func (r *replaying) intoSchema(a *cli, c *cobra.Command, log *eventsLog, at events.Seq) error {
	log.through = at
	made, err := projections.ReplayInto(c.Context(), r.database, r.schema, log, at)
	switch {
	case errors.Is(err, projections.ErrSchemaName), errors.Is(err, projections.ErrPassword), errors.Is(err, projections.ErrConnectionString):
		return usage("%w", err)
	case errors.Is(err, projections.ErrSchemaExists):
		return fail("schema_exists", "%w; choose another name, or drop it", err)
	case err != nil:
		return err
	}
	if a.output == "json" {
		err = encode(c.OutOrStdout(), map[string]any{"views": made.Views, "audit": made.Audit, "seq": made.Position.Seq, "drop": made.Drop()})
	} else {
		_, err = io.WriteString(c.OutOrStdout(), fields(
			"Views", "schema "+made.Views, "Audit", "schema "+made.Audit, "As of", "commit "+strconv.FormatUint(uint64(made.Position.Seq), 10), "To drop them", made.Drop()))
	}
	return errors.Join(err, log.tell(c))
}

func writeLine(out io.Writer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeJSON(out, raw)
}

// wanted is a moment as it was asked for: a sequence, a time, or, if neither, the end of the log.
type wanted struct {
	seq  events.Seq
	time time.Time
}

func (w wanted) end() bool { return w.seq == 0 && w.time.IsZero() }

func readMoment(text string, now time.Time) (wanted, error) {
	if text == "" {
		return wanted{}, nil
	}
	if seq, err := strconv.ParseUint(text, 10, 63); err == nil {
		if seq == 0 {
			return wanted{}, usage("the first commit has sequence 1")
		}
		return wanted{seq: events.Seq(seq)}, nil
	}
	at, err := moment(text, now)
	switch {
	case err != nil:
		return wanted{}, usage("a moment is a sequence, a time such as 2026-11-24T10:00:00Z, or how long ago, such as 24h")
	case at.After(now):
		return wanted{}, usage("a moment in the future has no facts yet")
	}
	return wanted{time: at}, nil
}

// fold folds what follows, up to a commit.
func (l *eventsLog) fold(ctx context.Context, replay *projections.Replay, upto events.Seq) error {
	if replay.Seq() >= upto {
		return nil
	}
	l.through = upto
	err := l.Follow(ctx, replay.Seq(), replayBatch, func(ctx context.Context, commits []events.Recorded) error {
		if err := replay.Fold(ctx, commits); err != nil {
			return err
		}
		if replay.Seq() == upto {
			return errFolded
		}
		return nil
	})
	if errors.Is(err, errFolded) {
		return nil
	}
	return err
}

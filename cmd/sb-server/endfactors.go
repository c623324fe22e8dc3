package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/identity/factors"
)

// endedFactors is the answer to an operator who ended somebody's second factors.
type endedFactors struct {
	Person events.UserID `json:"person"`
	Ended  int           `json:"ended"`
}

// endFactors ends every second factor that the log knows of somebody, also one whose row is gone:
// then they may enrol a first one again, just after signing in.
func endFactors(ctx context.Context, log command.Log, keeper *factors.Keeper, id events.UserID) (endedFactors, error) {
	told, _, err := command.Load[command.User](ctx, log, events.UserStream(id))
	if err != nil {
		return endedFactors{}, err
	}
	done := endedFactors{Person: id}
	for _, f := range told.Factors {
		meta := command.Meta{Command: events.NewCommandID(), Actor: operator, Time: time.Now()}
		if _, err := keeper.Remove(ctx, meta, id, f.Factor, factors.CauseOperator); err != nil {
			return done, fmt.Errorf("end factor %s: %w", f.Factor, err)
		}
		done.Ended++
	}
	return done, nil
}

// endFactorsOf is endFactors of whoever has an e-mail.
func (st *stack) endFactorsOf(ctx context.Context, email string) (endedFactors, error) {
	person, err := st.people.ByEmail(ctx, email)
	if err != nil {
		return endedFactors{}, err
	}
	return endFactors(ctx, st.store, st.factors(), person.ID)
}

func endFactorsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "end-factors EMAIL",
		Short: "end all second factors of a person who has lost them",
		Long: "Ends all second factors and recovery codes of a person, who then enrols a new one within five minutes of signing in. It is for\n" +
			"who lost them, and for factors that the log knows and the database has lost. It asks the server that runs with the same\n" +
			"SB_DATA_DIR over its control socket, or, if none runs, works on the data directory. Run it as the user of the server.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := loadSettings()
			if err != nil {
				return err
			}
			say := func(e endedFactors) error {
				fmt.Fprintf(cmd.OutOrStdout(), "%d second factors of %s ended\n", e.Ended, e.Person)
				return nil
			}
			err = askControlWith(cmd.Context(), s, http.MethodPost, "/people/end-factors", guest{Email: args[0]}, func(a controlAnswer) error {
				if a.Factors == nil {
					return errors.New("the running sb-server is of another version: restart it")
				}
				return say(*a.Factors)
			})
			if !errors.Is(err, errNoServer) {
				return err
			}
			return offline(cmd.Context(), func(st *stack) error {
				return st.withRights(cmd.Context(), func(ctx context.Context) error {
					ended, err := st.endFactorsOf(ctx, args[0])
					if err != nil {
						return err
					}
					return say(ended)
				})
			})
		},
	}
}

// endPersonFactors is the command over the control socket.
func (c *control) endPersonFactors(w http.ResponseWriter, r *http.Request) {
	var g guest
	body := json.NewDecoder(io.LimitReader(r.Body, maxControlBody))
	body.DisallowUnknownFields()
	if err := body.Decode(&g); err != nil {
		say(w, http.StatusBadRequest, controlAnswer{Error: "the running sb-server is of another version: restart it"})
		return
	}
	ended, err := c.endFactors(r.Context(), g.Email)
	if err != nil {
		say(w, http.StatusConflict, controlAnswer{Error: err.Error()})
		return
	}
	c.logger.Info("second factors of a person ended from the host", "user", string(ended.Person))
	say(w, http.StatusOK, controlAnswer{Factors: &ended})
}

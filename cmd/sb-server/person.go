package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/accounts"
	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/store"
)

// maxControlBody bounds what a command says over the control socket, in bytes.
const maxControlBody = 16 << 10

// openAccounts makes what lets people in.
func (st *stack) openAccounts() *accounts.Accounts {
	return accounts.New(accounts.Config{
		Log: st.facts, People: forgottenPeople{st.people, forgetting{st.caches, st.log}}, Links: store.Links{Pool: st.pool, Rows: st.rows}, Tokens: store.Tokens{Pool: st.pool, Rows: st.rows}, Sessions: st.sessions,
		Rights: st.rights, Turns: store.Turns{Pool: st.pool}, URL: st.settings.publicURL(), Denounce: st.rows.Denounce, Logger: st.log, Now: time.Now,
	})
}

// publicURL is the beginning of links that people open.
func (s settings) publicURL() string {
	if s.PublicURL != "" {
		return s.PublicURL
	}
	host, port, err := net.SplitHostPort(s.HTTPAddr)
	if err != nil || host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	return named("https://" + net.JoinHostPort(host, port))
}

// checkPublicURL refuses what no link can begin with.
func checkPublicURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || "https://"+u.Host != text {
		return fmt.Errorf("SB_PUBLIC_URL is %q: write https:// and a host, and nothing behind it", text)
	}
	return nil
}

// guest is whom the operator of the host lets in.
type guest struct {
	Email      string `json:"email"`
	Name       string `json:"name"`
	Role       string `json:"role,omitempty"` // everywhere; empty: none
	BreakGlass bool   `json:"break_glass,omitempty"`
}

// guestLink is the answer. It is shown once.
type guestLink struct {
	Person events.UserID `json:"person"`
	Link   string        `json:"link"`
	Until  time.Time     `json:"until"`
}

func personCommand() *cobra.Command {
	root := &cobra.Command{Use: "person", Short: "let people in from this host, such as the first one", Args: cobra.NoArgs}
	var g guest
	invite := &cobra.Command{
		Use:   "invite EMAIL",
		Short: "invite a person, such as the first administrator of an installation",
		Long: "Invites a person and prints the link that they set their password by: once, on standard output, alone. It works once.\n" +
			"Whoever gets it opens it in a browser, or runs sb link redeem. For somebody who is there already it makes a new link, and\n" +
			"gives the role if they lack it, which is the way back in when nobody can sign in any more. It asks the server that runs with the\n" +
			"same SB_DATA_DIR over its control socket, or, if none runs, works on the data directory. Run it as the user of the server.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g.Email = args[0]
			s, err := loadSettings()
			if err != nil {
				return err
			}
			printed := func(l guestLink) error {
				fmt.Fprintln(cmd.OutOrStdout(), l.Link)
				fmt.Fprintf(cmd.ErrOrStderr(), "invited %s; the link is shown once, works once and ends %s\n", l.Person, l.Until.Format(time.RFC3339))
				return nil
			}
			err = askControlWith(cmd.Context(), s, http.MethodPost, "/people/invite", g, func(a controlAnswer) error {
				if a.Link == nil {
					return errors.New("the running sb-server is of another version: restart it")
				}
				return printed(*a.Link)
			})
			if !errors.Is(err, errNoServer) {
				return err
			}
			return offline(cmd.Context(), func(st *stack) error {
				return st.withRights(cmd.Context(), func(ctx context.Context) error {
					l, err := st.invite(ctx, g)
					if err != nil {
						return err
					}
					return printed(l)
				})
			})
		},
	}
	invite.Flags().StringVar(&g.Name, "name", "", "the person's name")
	invite.Flags().StringVar(&g.Role, "role", "", "a role to have everywhere, such as admin")
	invite.Flags().BoolVar(&g.BreakGlass, "break-glass", false, "an account for emergencies, which no guessing elsewhere locks")
	_ = invite.MarkFlagRequired("name")
	root.AddCommand(invite, endFactorsCommand())
	return root
}

// withRights does something while rights follow the log, of a server that does not run.
func (st *stack) withRights(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	followed := make(chan error, 1)
	go func() { followed <- st.followInMemory(ctx, "rights", st.rights.Run) }()
	err := st.settleRights(ctx)
	if err == nil {
		err = do(ctx)
	}
	cancel()
	if stopped := <-followed; !errors.Is(stopped, context.Canceled) {
		err = errors.Join(err, stopped)
	}
	return err
}

// invite lets somebody in, or makes another link for who is in already, and gives the role. The
// role comes first where the person is there, so that what fails can be asked for again.
func (st *stack) invite(ctx context.Context, g guest) (guestLink, error) {
	if err := st.rights.Fresh(ctx); err != nil {
		return guestLink{}, err
	}
	if g.Role != "" && !st.rights.Governance().HasRole(g.Role) {
		return guestLink{}, accounts.ErrRole
	}
	meta := func() command.Meta {
		return command.Meta{Command: events.NewCommandID(), Actor: operator, Time: time.Now()}
	}
	linked, err := st.accounts.Invite(ctx, meta(), accounts.Invitation{Email: g.Email, Name: g.Name, BreakGlass: g.BreakGlass})
	if errors.Is(err, accounts.ErrEmailTaken) {
		there, found := st.people.ByEmail(ctx, g.Email)
		if found != nil {
			return guestLink{}, errors.Join(err, found)
		}
		linked, err = st.accounts.Reset(ctx, meta(), "", there.ID)
	}
	if err != nil {
		return guestLink{}, err
	}
	defer linked.Link.Zero()
	if g.Role != "" {
		if _, _, err := st.accounts.Give(ctx, meta(), nil, linked.User, events.GrantGiven{Role: g.Role, Reason: "given on the server's host"}); err != nil {
			return guestLink{}, fmt.Errorf("give the role (run it again for another link): %w", err)
		}
	}
	return guestLink{Person: linked.User, Link: string(linked.Link.Expose()), Until: linked.Until}, nil
}

// invitePerson is the command over the control socket.
func (c *control) invitePerson(w http.ResponseWriter, r *http.Request) {
	var g guest
	body := json.NewDecoder(io.LimitReader(r.Body, maxControlBody))
	body.DisallowUnknownFields()
	if err := body.Decode(&g); err != nil {
		say(w, http.StatusBadRequest, controlAnswer{Error: "the running sb-server is of another version: restart it"})
		return
	}
	l, err := c.invite(r.Context(), g)
	if err != nil {
		say(w, http.StatusConflict, controlAnswer{Error: err.Error()})
		return
	}
	c.logger.Info("person invited from the host", "user", string(l.Person))
	say(w, http.StatusOK, controlAnswer{Link: &l})
}

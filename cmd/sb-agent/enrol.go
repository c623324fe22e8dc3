package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"secretsbridge/agent/identity"
	"secretsbridge/events"
	"secretsbridge/internal/build"
	"secretsbridge/seal"
)

const (
	enrolPath    = "/api/v1/agents/enrol"
	enrolTimeout = 30 * time.Second
	maxReply     = 1 << 20
	maxToken     = 4 << 10
)

// errOutcomeUnknown says that the control plane may have taken the token.
var errOutcomeUnknown = errors.New("the answer was lost, and the token may be used up; ask the operator to revoke this invitation, then enrol again with a new token")

func enrolCommand() *cobra.Command {
	var o enrolOptions
	c := &cobra.Command{
		Use:   "enrol",
		Short: "Trade a one-time token for an identity",
		Long: "Makes the agent's keys, which never leave this host, and trades a one-time token\n" +
			"for its credentials. `sb agent invite` shows the token once.",
		RunE: func(c *cobra.Command, _ []string) error { return enrol(c.Context(), o, c.InOrStdin(), c.OutOrStdout()) },
	}
	c.Flags().StringVar(&o.server, "server", "", "https URL of the control plane")
	c.Flags().StringVar(&o.ca, "ca", "", "PEM file of the CA that signs the control plane's certificate; no other is accepted")
	c.Flags().StringVar(&o.tokenFile, "token-file", "", "file that holds the token; - reads standard input")
	c.Flags().StringVar(&o.suite, "suite", seal.XWing.String(), "kind of the key that values are sealed to: xwing, or x25519 where the control plane takes no other")
	c.Flags().BoolVar(&o.replace, "replace", false, "replace the identity that is in the directory")
	c.Flags().BoolVar(&o.unlessEnrolled, "unless-enrolled", false, "do nothing where the directory holds an identity; for a container that enrols before each start")
	dirFlag(c, &o.dir)
	return c
}

type enrolOptions struct {
	server, ca, tokenFile, dir, suite string
	replace, unlessEnrolled           bool
}

func enrol(ctx context.Context, o enrolOptions, stdin io.Reader, out io.Writer) error {
	for _, err := range []error{needed("server", o.server), needed("ca", o.ca), needed("token-file", o.tokenFile), needed("dir", o.dir)} {
		if err != nil {
			return err
		}
	}
	if o.replace && o.unlessEnrolled {
		return fmt.Errorf("%w: --replace and --unless-enrolled contradict each other", errUsage)
	}
	suite, err := seal.ParseSuite(o.suite)
	if err != nil {
		return fmt.Errorf("%w: --suite is xwing or x25519", errUsage)
	}
	target, err := enrolURL(o.server)
	if err != nil {
		return err
	}
	client, err := pinnedClient(o.ca)
	if err != nil {
		return err
	}
	if err := identity.Free(o.dir, o.replace); err != nil {
		if errors.Is(err, identity.ErrExists) && o.unlessEnrolled {
			_, err := fmt.Fprintf(out, "%s holds an identity already; nothing was done\n", o.dir)
			return err
		}
		if errors.Is(err, identity.ErrExists) {
			return fmt.Errorf("enrol: %w; --replace makes a new agent of it", err)
		}
		return fmt.Errorf("enrol: %w", err)
	}
	token, err := readToken(o.tokenFile, stdin)
	if err != nil {
		return err
	}
	question, keys, err := prepare(o.dir, suite)
	if err != nil {
		return err
	}
	question.Token = token
	answer, err := trade(ctx, client, target, question)
	if err != nil {
		keys.Discard()
		return err
	}
	if err := keys.Accept(answer, time.Now()); err != nil {
		return fmt.Errorf("enrol: %w; the token is used up, ask for a new one", err)
	}
	_, err = fmt.Fprintf(out, "enrolled agent %s (%s) of cluster %s; start it with: sb-agent run --dir %s --config FILE\n",
		answer.Agent, answer.Name, answer.Cluster, o.dir)
	return err
}

func enrolURL(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%w: --server must be https://HOST[:PORT]", errUsage)
	}
	return u.JoinPath(enrolPath).String(), nil
}

// pinnedClient trusts one CA, follows no redirect and uses no proxy: the token goes to
// the control plane and to nobody else.
func pinnedClient(caFile string) (*http.Client, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("enrol: read the CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("enrol: %s holds no certificate", caFile)
	}
	return &http.Client{
		Timeout:       enrolTimeout,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func readToken(path string, stdin io.Reader) (string, error) {
	from := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("enrol: read the token: %w", err)
		}
		defer file.Close()
		from = file
	}
	raw, err := io.ReadAll(io.LimitReader(from, maxToken))
	if err != nil {
		return "", fmt.Errorf("enrol: read the token: %w", err)
	}
	defer clear(raw)
	token := string(bytes.TrimSpace(raw))
	if token == "" {
		return "", errors.New("enrol: the token file is empty")
	}
	return token, nil
}

// prepare makes the agent's keys and writes them down before anybody is asked.
func prepare(dir string, suite seal.Suite) (events.Enrol, identity.Keys, error) {
	user, err := nkeys.CreateUser()
	if err != nil {
		return events.Enrol{}, identity.Keys{}, fmt.Errorf("enrol: make keys: %w", err)
	}
	defer user.Wipe()
	seed, err := user.Seed()
	if err != nil {
		return events.Enrol{}, identity.Keys{}, fmt.Errorf("enrol: make keys: %w", err)
	}
	defer clear(seed)
	public, err := user.PublicKey()
	if err != nil {
		return events.Enrol{}, identity.Keys{}, fmt.Errorf("enrol: make keys: %w", err)
	}
	sign, err := seal.GenerateSigningKey() // not the nkey: that one signs what a server chooses (decision 0065)
	if err != nil {
		return events.Enrol{}, identity.Keys{}, fmt.Errorf("enrol: make keys: %w", err)
	}
	box, err := seal.GenerateRecipientKey(suite)
	if err != nil {
		return events.Enrol{}, identity.Keys{}, fmt.Errorf("enrol: make keys: %w", err)
	}
	keys, err := identity.Prepare(dir, seed, sign, box)
	if err != nil {
		return events.Enrol{}, identity.Keys{}, fmt.Errorf("enrol: %w", err)
	}
	return events.Enrol{
		UserKey: public, BoxKey: box.Public().String(), SignKey: sign.Public().String(), Version: build.Version(),
	}, keys, nil
}

// problem is what the control plane says when it refuses (RFC 9457).
type problem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func trade(ctx context.Context, client *http.Client, target string, question events.Enrol) (events.Enrolment, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return events.Enrolment{}, fmt.Errorf("enrol: %w", err)
	}
	defer clear(body)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return events.Enrolment{}, fmt.Errorf("enrol: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, application/problem+json")
	request.Header.Set("Idempotency-Key", string(events.NewCommandID()))
	response, err := client.Do(request)
	if err != nil {
		return events.Enrolment{}, unanswered(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return events.Enrolment{}, fmt.Errorf("enrol: %w: %w", errOutcomeUnknown, err)
	}
	if response.StatusCode/100 != 2 {
		var p problem
		if json.Unmarshal(raw, &p) == nil && p.Code != "" {
			return events.Enrolment{}, fmt.Errorf("enrol: refused with %q: %s", p.Code, p.Detail)
		}
		return events.Enrolment{}, fmt.Errorf("enrol: %s answered %s; is it the control plane?", target, response.Status)
	}
	var answer events.Enrolment
	if err := json.Unmarshal(raw, &answer); err != nil {
		return events.Enrolment{}, fmt.Errorf("enrol: %w", errOutcomeUnknown)
	}
	return answer, nil
}

// unanswered tells what never reached the control plane from what may have.
func unanswered(err error) error {
	var certificate *tls.CertificateVerificationError
	var network *url.Error
	if errors.As(err, &certificate) {
		return fmt.Errorf("enrol: the server's certificate is not of the pinned CA: %w", certificate.Err)
	}
	if errors.As(err, &network) {
		err = network.Err
	}
	var connection *net.OpError
	if errors.As(err, &connection) && connection.Op == "dial" { // nothing was sent yet
		return fmt.Errorf("enrol: the control plane cannot be reached, and the token is still good: %w", err)
	}
	return fmt.Errorf("enrol: %w: %w", errOutcomeUnknown, err)
}

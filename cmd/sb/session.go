package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/internal/build"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/web/api/client"
)

// maxToken bounds a token's file, in bytes. A session's token has some 50.
const maxToken = 4 << 10

// tokenFile is where a session is kept: the token alone in one file, and beside it, in
// FILE.key, the key that signs the session's calls, and in FILE.state what is no secret.
// A token that somebody else put there has no key, and needs none.
type tokenFile string

// state is what belongs to a session and is no secret.
type state struct {
	Server   string `json:"server"` // the token is sent nowhere else
	Sequence uint64 `json:"sequence,omitempty"`

	// ServerKey is what the server signed with when it was first seen.
	ServerKey string `json:"server_key,omitempty"`

	// Clock is how far the server's clock is ahead.
	Clock time.Duration `json:"clock_ahead_ns,omitempty"`

	Seen []seenPatch `json:"seen,omitempty"` // the last one last
}

func findTokenFile() (tokenFile, error) {
	if path := os.Getenv("SB_TOKEN_FILE"); path != "" {
		return tokenFile(path), nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fail("token_file", "there is no configuration folder (%w); set SB_TOKEN_FILE", err)
	}
	return tokenFile(filepath.Join(dir, "secrets-bridge", "token")), nil
}

// load reads the session. The state is zero if there is none: somebody else put the
// token there.
func (f tokenFile) load() (secret.Value, seal.SigningKey, state, error) {
	refuse := func(err error) (secret.Value, seal.SigningKey, state, error) {
		return secret.Value{}, seal.SigningKey{}, state{}, err
	}
	none := fail("not_signed_in", "you are not signed in; run sb login --email YOU")
	text, err := readOwn(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(none)
	}
	if err != nil {
		return refuse(err)
	}
	token := bytes.TrimSpace(text)
	switch {
	case len(token) == 0:
		return refuse(none)
	case len(text) > maxToken || bytes.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return refuse(fail("token_file", "%s holds no token; sign in again", f))
	}
	key, err := f.key(token)
	if err != nil {
		return refuse(err)
	}
	s := f.state()
	if key.Public() != (seal.VerifyKey{}) && s.ServerKey == "" {
		return refuse(fail("token_file", "%s does not say who the server is; sign in again", f.statePath()))
	}
	return secret.New(token), key, s, nil
}

// keyFile is what FILE.key holds. Token is the SHA-256 of the token that the key is for: a
// key beside a token that somebody else put there is not its key.
type keyFile struct {
	Token []byte `json:"token_sha256"`
	Seed  []byte `json:"seed"` // of RFC 8032
}

// key is the key of a token; zero if it has none.
func (f tokenFile) key(token []byte) (seal.SigningKey, error) {
	text, err := readOwn(f.keyPath())
	if errors.Is(err, fs.ErrNotExist) {
		return seal.SigningKey{}, nil
	}
	if err != nil {
		return seal.SigningKey{}, err
	}
	defer clear(text)
	var kept keyFile
	broken := fail("token_file", "%s holds no key; sign in again", f.keyPath())
	if json.Unmarshal(text, &kept) != nil {
		return seal.SigningKey{}, broken
	}
	defer clear(kept.Seed)
	if hash := sha256.Sum256(token); !bytes.Equal(hash[:], kept.Token) {
		return seal.SigningKey{}, nil
	}
	key, err := seal.ParseSigningKey(kept.Seed)
	if err != nil {
		return seal.SigningKey{}, broken
	}
	return key, nil
}

// readOwn reads a small file that only its owner may read: at most one byte more than
// maxToken.
func readOwn(path string) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fail("token_file", "read the session: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, fail("token_file", "read the session: %w", err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fail("token_file", "others may read %s; run chmod 600 on it, and sign in again if they did", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	if err != nil {
		return nil, fail("token_file", "read the session: %w", err)
	}
	return text, nil
}

// state is zero if it cannot be read: it only saves a detour.
func (f tokenFile) state() (s state) {
	text, err := os.ReadFile(f.statePath())
	if err != nil || json.Unmarshal(text, &s) != nil {
		return state{}
	}
	return s
}

func (f tokenFile) statePath() string { return string(f) + ".state" }

func (f tokenFile) keyPath() string { return string(f) + ".key" }

// save replaces the session. The old token goes first and the new one comes last: a
// crash between leaves none, and never a token beside the state of another server.
func (f tokenFile) save(token string, key seal.SigningKey, s state) error {
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o700); err != nil {
		return fail("token_file", "keep the session: %w", err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(token))
	own, err := json.Marshal(keyFile{Token: hash[:], Seed: key.Expose()})
	if err != nil {
		return err
	}
	defer clear(own)
	if err := f.remove(); err != nil {
		return err
	}
	if err := errors.Join(replace(f.statePath(), text), replace(f.keyPath(), own), replace(string(f), []byte(token+"\n"))); err != nil {
		return fail("token_file", "keep the session: %w", err)
	}
	return nil
}

// remove forgets the session; without one it does nothing.
func (f tokenFile) remove() error {
	for _, path := range []string{string(f), f.keyPath(), f.statePath()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fail("token_file", "forget the session: %w", err)
		}
	}
	return nil
}

// remember keeps how far the log got by a command, for the next query, and who the server
// is. It is a convenience, so a folder that is read-only is no error.
func (f tokenFile) remember(to *client.Client) {
	s := f.state()
	if s.Server != to.Server() || to.Sequence() <= s.Sequence && (s.ServerKey != "" || to.ServerKey() == "") && s.Clock == to.Clock() {
		return
	}
	s.Clock = to.Clock()
	s.Sequence = max(s.Sequence, to.Sequence())
	if s.ServerKey == "" {
		s.ServerKey = to.ServerKey()
	}
	if text, err := json.Marshal(s); err == nil {
		_ = replace(f.statePath(), text)
	}
}

// replace writes a file that only its owner may read, whole or not at all.
func replace(path string, text []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".sb-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// dial makes a client for the server of the flags or the environment.
func (a *cli) dial(token secret.Value, key seal.SigningKey, kept state) (*client.Client, error) {
	server := given(a.server, "SB_SERVER")
	if server == "" {
		return nil, usage("no server: set --server or SB_SERVER to its https URL")
	}
	cfg := client.Config{
		Server: server, Token: token, Key: key, Clock: kept.Clock, Sequence: kept.Sequence, Agent: "sb/" + build.Version(), ServerKey: kept.ServerKey,
	}
	if key := given(a.serverKey, "SB_SERVER_KEY"); key != "" {
		cfg.ServerKey = key
	}
	if path := given(a.ca, "SB_CA_FILE"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, usage("read the CA: %w", err)
		}
		cfg.Roots = x509.NewCertPool()
		if !cfg.Roots.AppendCertsFromPEM(text) {
			return nil, usage("read the CA: %s holds no certificate in PEM", path)
		}
	}
	return client.New(cfg)
}

// whoseKey says what to do about another server's key where the key that it should have
// was given, and not kept at sign-in.
func (a *cli) whoseKey(err error) error {
	if !errors.Is(err, client.ErrServerChanged) || given(a.serverKey, "SB_SERVER_KEY") == "" {
		return err
	}
	outcome := ""
	var altered *client.Altered
	if errors.As(err, &altered) && altered.Command {
		outcome = "whether the command was done is not known; "
	}
	return fail("server_key_changed", "the server's signing key is not the one in SB_SERVER_KEY (or --server-key); %sget the new one from the operator", outcome)
}

func given(flag, variable string) string {
	if flag != "" {
		return flag
	}
	return os.Getenv(variable)
}

// signedIn makes a command that needs a session.
func (a *cli) signedIn(do func(c *cobra.Command, args []string, to *client.Client) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if os.Getenv("SB_TOKEN") != "" {
			return a.byToken(c, args, do)
		}
		file, err := findTokenFile()
		if err != nil {
			return err
		}
		token, key, kept, err := file.load()
		if err != nil {
			return err
		}
		defer token.Zero()
		to, err := a.dial(token, key, kept)
		if err != nil {
			return err
		}
		defer to.Close()
		if kept.Server != "" && kept.Server != to.Server() {
			return fail("not_signed_in", "your session is for %s; sign in to %s with sb login --email YOU", kept.Server, to.Server())
		}
		stepsUp(c, to)
		err = do(c, args, to)
		file.remember(to)
		return a.whoseKey(err)
	}
}

// byToken runs a command with the token in SB_TOKEN, such as a machine's. Nothing is kept of
// it: there is no session, and no file.
func (a *cli) byToken(c *cobra.Command, args []string, do func(c *cobra.Command, args []string, to *client.Client) error) error {
	text := []byte(os.Getenv("SB_TOKEN"))
	if len(text) > maxToken || bytes.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return usage("SB_TOKEN holds no token")
	}
	token := secret.New(text)
	defer token.Zero()
	to, err := a.dial(token, seal.SigningKey{}, state{})
	if err != nil {
		return err
	}
	defer to.Close()
	return a.whoseKey(do(c, args, to))
}

// note tells a person something beside the output.
func note(c *cobra.Command, format string, args ...any) {
	fmt.Fprintln(c.ErrOrStderr(), clean(fmt.Sprintf(format, args...)))
}

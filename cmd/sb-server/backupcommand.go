package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/backup"
	"secretsbridge/transparency"
)

// backupCommand backs an installation up.
func backupCommand() *cobra.Command {
	var to, recipientsFile string
	var recipients []string
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "write an encrypted backup of everything, while the server works",
		Long: "Writes the log, the keys, people and all else that the log does not tell again into one file, encrypted with age\n" +
			"to each recipient, as of one commit of the log. The server of SB_DATA_DIR writes it while it works; where none runs,\n" +
			"it is written without. docs/operations/backup.md says what is in it, and what is not.",
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&to, "to", "", "file to write, which must not exist; - for standard output")
	flags.StringArrayVar(&recipients, "recipient", nil, "public key of age, age1…, that can open the backup; may be given again")
	flags.StringVar(&recipientsFile, "recipients-file", "", "file of such keys, one a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		text := strings.Join(recipients, "\n")
		if recipientsFile != "" {
			raw, err := os.ReadFile(recipientsFile)
			if err != nil {
				return err
			}
			text += "\n" + string(raw)
		}
		if _, err := backup.ParseRecipients(text); err != nil {
			return err
		}
		if to == "" {
			return errors.New("--to is not given: write a file, or - for standard output")
		}
		return writeBackup(cmd, to, text)
	}
	cmd.AddCommand(backupVerifyCommand())
	return cmd
}

// writeBackup writes the file whole or not at all.
func writeBackup(cmd *cobra.Command, to, recipients string) (err error) {
	if to == "-" {
		m, err := takeBackup(cmd.Context(), cmd.OutOrStdout(), recipients)
		if err == nil {
			tellBackup(cmd.ErrOrStderr(), m)
		}
		return err
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: name another file", to)
	}
	f, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	m, err := takeBackup(cmd.Context(), f, recipients)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), to); err != nil {
		return err
	}
	tellBackup(cmd.OutOrStdout(), m)
	return nil
}

func tellBackup(out io.Writer, m backup.Manifest) {
	rows := int64(0)
	for _, n := range m.Rows {
		rows += n
	}
	fmt.Fprintf(out, "backed up as of commit %d, root %s: %d rows and %d files beside the log\n", m.Commits, m.Root, rows, len(m.Files))
}

// takeBackup asks the running server, or opens the installation itself where none runs.
func takeBackup(ctx context.Context, to io.Writer, recipients string) (m backup.Manifest, err error) {
	s, err := loadSettings()
	if err != nil {
		return m, err
	}
	m, err = askBackup(ctx, s, to, recipients)
	if !errors.Is(err, errNoServer) {
		return m, err
	}
	parsed, err := backup.ParseRecipients(recipients)
	if err != nil {
		return m, err
	}
	err = offline(ctx, func(st *stack) (err error) {
		m, err = st.backUp(ctx, to, parsed)
		return err
	})
	return m, err
}

// What the server says at the end of a backup, in a trailer: one of both.
const (
	backupDone   = "Sb-Backup"
	backupFailed = "Sb-Error"
)

// askBackup has the running server write a backup.
func askBackup(ctx context.Context, s settings, to io.Writer, recipients string) (m backup.Manifest, err error) {
	body, err := json.Marshal(backupOrder{Recipients: recipients})
	if err != nil {
		return m, err
	}
	res, err := callControl(ctx, s, http.MethodPost, "/backup", bytes.NewReader(body))
	if err != nil {
		return m, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var a controlAnswer
		if json.NewDecoder(io.LimitReader(res.Body, 1<<16)).Decode(&a) != nil || a.Error == "" {
			return m, errors.New("the running sb-server is of another version: restart it")
		}
		return m, errors.New(a.Error)
	}
	if _, err := io.Copy(to, res.Body); err != nil {
		return m, fmt.Errorf("the backup was cut off: %w", err)
	}
	if said := res.Trailer.Get(backupFailed); said != "" {
		return m, errors.New(said)
	}
	if json.Unmarshal([]byte(res.Trailer.Get(backupDone)), &m) != nil {
		return m, errors.New("the backup was cut off: look at the server's log, then run it again")
	}
	return m, nil
}

// backupOrder is what the running server is asked for.
type backupOrder struct {
	Recipients string `json:"recipients"` // public keys of age, one a line
}

// backup answers with the encrypted backup itself, and at its end with how it went.
func (c *control) backup(w http.ResponseWriter, r *http.Request) {
	var order backupOrder
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&order); err != nil {
		say(w, http.StatusBadRequest, controlAnswer{Error: "the order of a backup cannot be read: " + err.Error()})
		return
	}
	to, err := backup.ParseRecipients(order.Recipients)
	if err != nil {
		say(w, http.StatusBadRequest, controlAnswer{Error: err.Error()})
		return
	}
	if !c.backingUp.TryLock() {
		say(w, http.StatusConflict, controlAnswer{Error: "a backup is being written already: wait for it"})
		return
	}
	defer c.backingUp.Unlock()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", backupDone+", "+backupFailed)
	m, err := c.backUp(r.Context(), w, to)
	if err != nil {
		c.logger.Warn("a backup failed", "err", err)
		w.Header().Set(backupFailed, strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	m.Signed, m.MAC = "", nil // for a line of a header
	said, err := json.Marshal(m)
	if err != nil {
		w.Header().Set(backupFailed, err.Error())
		return
	}
	c.logger.Info("a backup was written", "seq", m.Commits)
	w.Header().Set(backupDone, string(said))
}

// backupVerifyCommand checks a file.
func backupVerifyCommand() *cobra.Command {
	var from fromBackup
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "prove that a backup is whole, without restoring it",
		Long: "Reads a backup to its end: nothing is missing, changed or added since it was written, and the tree of its commits is the\n" +
			"one that the log's key signed. With --policy a checkpoint in it must be signed and cosigned as that says. It needs no server.",
		Args: cobra.NoArgs,
	}
	from.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		read, err := from.verify(nil)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "the backup is whole: %d commits, root %s, of %s, written by version %s at %s\n",
			read.head.Commits, read.manifest.Root, read.head.Origin, read.head.Version, read.head.At.Format("2006-01-02T15:04:05Z"))
		if from.policy != "" {
			fmt.Fprintf(out, "as the policy asks, %s signed %d of them\n", strings.Join(append([]string{"the log"}, read.cosigned...), ", "), read.proven)
		}
		return nil
	}
	return cmd
}

// fromBackup is a file that is read, and how.
type fromBackup struct {
	file, identity, policy string
}

func (f *fromBackup) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "from", "", "file to read")
	cmd.Flags().StringVar(&f.identity, "identity", "", "file with the secret key of age, mode 0600")
	cmd.Flags().StringVar(&f.policy, "policy", "", "file that says who must have signed a checkpoint of the backup (c2sp.org/tlog-policy)")
	for _, needed := range []string{"from", "identity"} {
		if err := cmd.MarkFlagRequired(needed); err != nil {
			panic(err)
		}
	}
}

// readBackup is a backup that was read to its end and is whole.
type readBackup struct {
	head     backup.Head
	manifest backup.Manifest
	proven   int64    // commits of the largest checkpoint that satisfies the policy; 0 without one
	cosigned []string // witnesses of the policy that cosigned it
}

// verify reads the file and leaves everything as it is. roots are asked for on the way.
func (f *fromBackup) verify(roots map[int64]tlog.Hash) (read readBackup, err error) {
	if read.head, read.manifest, err = f.read(backup.Sink{Roots: roots}); err != nil {
		return read, err
	}
	return read, f.checkKept(&read)
}

// read reads the file once.
func (f *fromBackup) read(into backup.Sink) (backup.Head, backup.Manifest, error) {
	key, err := readPrivate(f.identity)
	if err != nil {
		return backup.Head{}, backup.Manifest{}, err
	}
	defer clear(key)
	with, err := backup.ParseIdentities(bytes.NewReader(key))
	if err != nil {
		return backup.Head{}, backup.Manifest{}, fmt.Errorf("%s: %w", f.identity, err)
	}
	file, err := os.Open(f.file)
	if err != nil {
		return backup.Head{}, backup.Manifest{}, err
	}
	defer file.Close()
	return backup.Read(file, with, into)
}

// checkKept looks for the largest checkpoint that satisfies the policy, if there is one.
func (f *fromBackup) checkKept(read *readBackup) error {
	if f.policy == "" {
		return nil
	}
	text, err := os.ReadFile(f.policy)
	if err != nil {
		return err
	}
	policy, err := transparency.ParsePolicy(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.policy, err)
	}
	opened, found := transparency.Opened{}, errors.New("it has none")
	for _, text := range read.head.Kept {
		if opened, found = policy.Open([]byte(text)); found == nil {
			break
		}
	}
	if found != nil {
		return fmt.Errorf("no checkpoint of the backup satisfies %s: %w", f.policy, found)
	}
	if read.manifest.Commits > 0 && len(transparency.Signing([]byte(read.manifest.Signed), []string{policy.Key()})) == 0 {
		return fmt.Errorf("the tree of the backup is signed by another key than that of %s", f.policy)
	}
	read.proven, read.cosigned = opened.Tree.N, opened.Signers[1:]
	return nil
}

package backup_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/backup"
	"secretsbridge/events"
	"secretsbridge/transparency"
)

// origin is a log of these tests, with its key.
const origin = "secrets-bridge/test"

type rig struct {
	signing, public string
	to              backup.Recipients
	with            backup.Identities
	age             *age.X25519Identity
}

func newRig(t *testing.T) rig {
	t.Helper()
	r := rig{}
	var err error
	if r.signing, r.public, err = transparency.GenerateKey(origin); err != nil {
		t.Fatal(err)
	}
	r.to, r.with, r.age = someone(t)
	return r
}

func someone(t *testing.T) (backup.Recipients, backup.Identities, *age.X25519Identity) {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	to, err := backup.ParseRecipients("# a comment\n" + key.Recipient().String() + "\n")
	if err != nil {
		t.Fatal(err)
	}
	with, err := backup.ParseIdentities(strings.NewReader(key.String()))
	if err != nil {
		t.Fatal(err)
	}
	return to, with, key
}

// content is what a test backs up.
type content struct {
	Files   map[string]string
	Rows    map[string]string
	Commits []backup.Commit
}

func someContent(commits int) content {
	c := content{
		Files: map[string]string{"keys/signing.json": "{}", "keys/nats/core.nk": "SEED"},
		Rows:  map[string]string{"people": strings.Repeat("a row\tof somebody\n", 70_000), "envelopes": "one\n", "loops": ""},
	}
	for n := range commits {
		c.Commits = append(c.Commits, backup.Commit{Seq: events.Seq(n + 1), Subject: "evt.request.r_1", Writer: "v1 x", After: fmt.Sprint(n), Data: fmt.Appendf(nil, "[%d]%s", n, strings.Repeat(" ", 900))})
	}
	return c
}

// write backs content up; kept is the size of the checkpoint that was published last.
func (r rig) write(t *testing.T, c content, kept int64) ([]byte, error) {
	t.Helper()
	signer, err := transparency.NewSigner(r.signing)
	if err != nil {
		t.Fatal(err)
	}
	head := backup.Head{
		Version: "1", At: time.Unix(1_800_000_000, 0).UTC(), Origin: origin, Commits: events.Seq(len(c.Commits)), Schema: 16,
		Tables: []backup.Table{{Name: "people", Columns: []string{"id"}}, {Name: "envelopes", Columns: []string{"id"}}, {Name: "loops", Columns: []string{"name"}}},
	}
	if kept > 0 {
		var tree transparency.Frontier
		for _, one := range c.Commits[:kept] {
			tree.Append(transparency.LeafHash(one.Data))
		}
		signed, err := signer.Sign(tree.Tree())
		if err != nil {
			t.Fatal(err)
		}
		head.Kept = []string{string(signed)}
	}
	var out bytes.Buffer
	_, err = backup.Write(&out, r.to, head, backup.Source{
		Files: func(put func(string, []byte) error) error {
			return errors.Join(put("keys/signing.json", []byte(c.Files["keys/signing.json"])), put("keys/nats/core.nk", []byte(c.Files["keys/nats/core.nk"])))
		},
		Rows: func(table backup.Table, to io.Writer) (int64, error) {
			for line := range strings.Lines(c.Rows[table.Name]) {
				if _, err := io.WriteString(to, line); err != nil {
					return 0, err
				}
			}
			return int64(strings.Count(c.Rows[table.Name], "\n")), nil
		},
		Commits: func(take func(backup.Commit) error) error {
			for _, one := range c.Commits {
				if err := take(one); err != nil {
					return err
				}
			}
			return nil
		},
		Prove: func(tree tlog.Tree, m *backup.Manifest) error {
			signed, err := signer.Sign(tree)
			m.Signed, m.Keys = string(signed), []string{r.public}
			return err
		},
		MAC: func(vouched []byte) ([]byte, error) { return vouched, nil },
	})
	return out.Bytes(), err
}

type rows struct {
	to   *content
	name string
	bytes.Buffer
}

func (r *rows) Close() error {
	r.to.Rows[r.name] = r.String()
	return nil
}

// read is what a backup holds.
func read(raw []byte, with backup.Identities, roots map[int64]tlog.Hash) (content, backup.Manifest, error) {
	got := content{Files: map[string]string{}, Rows: map[string]string{}}
	_, m, err := backup.Read(bytes.NewReader(raw), with, backup.Sink{
		Roots: roots,
		File: func(name string, body []byte) error {
			got.Files[name] = string(body)
			return nil
		},
		Table:  func(t backup.Table) (io.WriteCloser, error) { return &rows{to: &got, name: t.Name}, nil },
		Commit: func(c backup.Commit) error { got.Commits = append(got.Commits, c); return nil },
	})
	return got, m, err
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, commits := range []int{0, 1, 1500} {
		want := someContent(commits)
		raw, err := r.write(t, want, int64(commits/2))
		if err != nil {
			t.Fatal(err)
		}
		roots := map[int64]tlog.Hash{int64(commits): {}, int64(commits) + 1: {}}
		got, m, err := read(raw, r.with, roots)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d commits (-want +got):\n%.2000s", commits, diff)
		}
		if !bytes.Equal(m.MAC, m.Vouched()) || m.Rows["people"] != 70_000 {
			t.Errorf("the manifest says %d rows of people, and its MAC is of something else: %t", m.Rows["people"], !bytes.Equal(m.MAC, m.Vouched()))
		}
		if commits > 0 && roots[int64(commits)] != m.Root || roots[int64(commits)+1] != (tlog.Hash{}) {
			t.Errorf("the roots that were asked for are %v", roots)
		}
	}
}

func TestOnlyRecipientsRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	raw, err := r.write(t, someContent(3), 0)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("a row")) || bytes.Contains(raw, []byte("SEED")) {
		t.Error("the backup is not encrypted")
	}
	_, other, _ := someone(t)
	if _, _, err := read(raw, other, nil); err == nil || !strings.Contains(err.Error(), "other recipients") {
		t.Errorf("read by somebody else: %v", err)
	}
}

// TestARecipientIsReplaced backs up for two, and then for one of them and somebody new.
func TestARecipientIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, ada, adasKey := someone(t)
	_, dana, danasKey := someone(t)
	_, olu, olusKey := someone(t)
	for _, step := range []struct {
		to            []*age.X25519Identity
		reads, cannot []backup.Identities
	}{
		{[]*age.X25519Identity{adasKey, danasKey}, []backup.Identities{ada, dana}, []backup.Identities{olu}},
		{[]*age.X25519Identity{danasKey, olusKey}, []backup.Identities{dana, olu}, []backup.Identities{ada}},
	} {
		var err error
		if r.to, err = backup.ParseRecipients(step.to[0].Recipient().String() + "\n" + step.to[1].Recipient().String()); err != nil {
			t.Fatal(err)
		}
		raw, err := r.write(t, someContent(3), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, who := range step.reads {
			if _, _, err := read(raw, who, nil); err != nil {
				t.Errorf("a recipient: %v", err)
			}
		}
		for _, who := range step.cannot {
			if _, _, err := read(raw, who, nil); err == nil {
				t.Error("somebody who is no recipient reads it")
			}
		}
	}
}

// TestABackupOfAnotherFormatSaysWhichVersionReadsIt changes the number, as a later version would.
func TestABackupOfAnotherFormatSaysWhichVersionReadsIt(t *testing.T) {
	t.Parallel()
	_, with, key := someone(t)
	var out bytes.Buffer
	sealed, err := age.Encrypt(&out, key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	to := tar.NewWriter(sealed)
	head := []byte(`{"format": 2, "version": "9.1", "news": true}`)
	if err := to.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "head.json", Size: int64(len(head))}); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Write(head); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(to.Close(), sealed.Close()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(out.Bytes(), with, nil); err == nil || !strings.Contains(err.Error(), "use the version that wrote it, 9.1") {
		t.Errorf("a later format: %v", err)
	}
}

// TestNoBitOfABackupChanges flips bits of the file, and cuts it off.
func TestNoBitOfABackupChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	raw, err := r.write(t, someContent(50), 0)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 60 {
		at := n * (len(raw) - 1) / 59
		changed := bytes.Clone(raw)
		changed[at] ^= 1 << (n % 8)
		if _, _, err := read(changed, r.with, nil); err == nil {
			t.Errorf("bit %d of byte %d was changed and nobody saw it", n%8, at)
		}
		if _, _, err := read(raw[:at], r.with, nil); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("cut off at byte %d of %d: %v", at, len(raw), err)
		}
	}
	if _, _, err := read(append(bytes.Clone(raw), 'x'), r.with, nil); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("something behind its end: %v", err)
	}
}

// TestABackupThatARecipientMadeAnew changes what is within, as whoever knows a recipient can: each
// change is found, but for one that gives the whole manifest anew, which is what the MAC is for.
func TestABackupThatARecipientMadeAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	raw, err := r.write(t, someContent(1200), 600)
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		name string
		body []byte
	}
	opened, err := age.Decrypt(bytes.NewReader(raw), r.age)
	if err != nil {
		t.Fatal(err)
	}
	var entries []entry
	for in := tar.NewReader(opened); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{header.Name, body})
	}
	again := func(change func([]entry) []entry) []byte {
		var out bytes.Buffer
		sealed, err := age.Encrypt(&out, r.age.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		to := tar.NewWriter(sealed)
		for _, e := range change(append([]entry{}, entries...)) {
			if err := to.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.body))}); err != nil {
				t.Fatal(err)
			}
			if _, err := to.Write(e.body); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(to.Close(), sealed.Close()); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	if _, _, err := read(again(func(e []entry) []entry { return e }), r.with, nil); err != nil {
		t.Fatalf("the same again: %v", err)
	}
	for i, e := range entries {
		for what, change := range map[string]func([]entry) []entry{
			"left out": func(all []entry) []entry { return append(all[:i], all[i+1:]...) },
			"twice":    func(all []entry) []entry { return append(all[:i+1], all[i:]...) },
			"changed": func(all []entry) []entry {
				body := bytes.Clone(all[i].body)
				body[len(body)/2] ^= 1
				all[i].body = body
				return all
			},
			"outside": func(all []entry) []entry { all[i].name = "files/../" + all[i].name; return all },
		} {
			if _, _, err := read(again(change), r.with, nil); err == nil {
				t.Errorf("%s %s, and nobody saw it", e.name, what)
			}
		}
	}
}

func TestALogThatIsNotWholeIsNotBackedUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := someContent(10)
	c.Commits[4].Seq = 6
	if _, err := r.write(t, c, 0); err == nil {
		t.Error("a gap was backed up")
	}
	if _, err := backup.ParseRecipients("\n"); err == nil {
		t.Error("a backup for nobody")
	}
}

// Command vectors takes the official test vectors from the modules that publish them,
// whose content go.sum pins, and writes what seal/ can use of them into
// seal/testdata/vectors. It is a module of its own, so that the product depends on
// neither publisher; its tests read the files and need no network.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	// Imported for go.mod to pin them; what is read is their test data.
	_ "github.com/c2sp/wycheproof"
	_ "github.com/cloudflare/circl/hpke"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: vectors FOLDER")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// field names of a set of HPKE vectors that are of use to a recipient.
var hpkeFields = []string{"kem_id", "kdf_id", "aead_id", "info", "skRm", "pkRm", "enc", "shared_secret", "encryptions", "exports", "aad", "ct", "pt", "exporter_context", "L", "exported_value"}

func run(folder string) error {
	circl, err := ask("list", "-m", "-f", "{{.Dir}}", "github.com/cloudflare/circl")
	if err != nil {
		return err
	}
	c2sp, err := ask("list", "-m", "-f", "{{.Dir}}", "github.com/c2sp/wycheproof")
	if err != nil {
		return err
	}
	root, err := ask("env", "GOROOT")
	if err != nil {
		return err
	}
	for name, from := range map[string]string{"circl": circl, "wycheproof": c2sp, "go": root} {
		text, err := os.ReadFile(filepath.Join(from, "LICENSE"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, "LICENSE-"+name), text, 0o644); err != nil {
			return err
		}
	}
	rfc, err := os.ReadFile(filepath.Join(circl, "hpke/testdata/vectors_rfc9180_5f503c5.json.gz"))
	if err != nil {
		return err
	}
	if rfc, err = unzip(rfc); err != nil {
		return err
	}
	if err := hpke(filepath.Join(folder, "hpke-rfc9180.json.gz"), rfc); err != nil {
		return err
	}
	pq, err := os.ReadFile(filepath.Join(root, "src/crypto/hpke/testdata/hpke-pq.json"))
	if err != nil {
		return err
	}
	if err := hpke(filepath.Join(folder, "hpke-pq.json.gz"), pq); err != nil {
		return err
	}
	for _, name := range []string{"x25519", "aes_gcm", "hkdf_sha256", "hkdf_sha512", "hmac_sha256", "ed25519"} {
		raw, err := os.ReadFile(filepath.Join(c2sp, "testvectors_v1", name+"_test.json"))
		if err != nil {
			return err
		}
		if err := write(filepath.Join(folder, "wycheproof-"+name+".json.gz"), raw); err != nil {
			return err
		}
	}
	// Most of the bytes of these two are intermediate results.
	for name, fields := range map[string][]string{
		"mlkem_768":        {"algorithm", "numberOfTests", "testGroups", "type", "parameterSet", "tests", "tcId", "flags", "result", "seed", "c", "K"},
		"mlkem_768_encaps": {"algorithm", "numberOfTests", "testGroups", "type", "parameterSet", "tests", "tcId", "flags", "result", "ek"},
	} {
		raw, err := os.ReadFile(filepath.Join(c2sp, "testvectors_v1", name+"_test.json"))
		if err != nil {
			return err
		}
		var doc any
		if err := json.Unmarshal(raw, &doc); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if raw, err = json.Marshal(keep(doc, fields)); err != nil {
			return err
		}
		if err := write(filepath.Join(folder, "wycheproof-"+name+".json.gz"), raw); err != nil {
			return err
		}
	}
	return nil
}

// hpke writes the sets that the standard library can speak: base mode, and no X448,
// ML-KEM-512 or TurboSHAKE.
func hpke(path string, raw []byte) error {
	var sets []map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&sets); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	number := func(set map[string]any, name string) string { return fmt.Sprint(set[name]) }
	sets = slices.DeleteFunc(sets, func(set map[string]any) bool {
		return number(set, "mode") != "0" ||
			slices.Contains([]string{"33", "64"}, number(set, "kem_id")) ||
			slices.Contains([]string{"18", "19"}, number(set, "kdf_id"))
	})
	out := make([]any, len(sets))
	for i, set := range sets {
		out[i] = keep(set, hpkeFields)
	}
	kept, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return write(path, kept)
}

// keep drops all fields but those named, at every depth.
func keep(v any, fields []string) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if !slices.Contains(fields, name) {
				delete(v, name)
				continue
			}
			v[name] = keep(inner, fields)
		}
	case []any:
		for i := range v {
			v[i] = keep(v[i], fields)
		}
	}
	return v
}

// write leaves a file alone that already says the same: compressed bytes may differ
// from one version of Go to the next.
func write(path string, content []byte) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		if plain, err := unzip(old); err == nil && bytes.Equal(plain, content) {
			fmt.Println("same ", path)
			return nil
		}
	}
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := zip.Write(content); err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return err
	}
	fmt.Println("wrote", path)
	return os.WriteFile(path, out.Bytes(), 0o644)
}

func unzip(raw []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// ask runs the go command, without asking it to build anything.
func ask(args ...string) (string, error) {
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

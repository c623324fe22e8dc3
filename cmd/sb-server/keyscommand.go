package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/internal/private"
	"secretsbridge/nats"
	"secretsbridge/store"
)

// keysCommand looks after the keyring in the operator's Postgres.
func keysCommand() *cobra.Command {
	root := &cobra.Command{Use: "keys", Short: "the keys that servers share in your Postgres"}
	root.AddCommand(&cobra.Command{
		Use: "list", Short: "list the keys, and what seals them", Args: cobra.NoArgs,
		Long: "Lists the keys of the keyring: name, revision, the key of the key manager that seals it, and since when. No key is opened.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withRing(cmd.Context(), func(ring store.Keyring) error { return listKeys(cmd.Context(), ring, cmd.OutOrStdout()) })
		},
	}, &cobra.Command{
		Use: "import DIR", Short: "take keys from files into the keyring", Args: cobra.ExactArgs(1),
		Long: "Takes the keys of DIR into the keyring: the folder keys of a data directory of sb-server, or what sb-server nats init wrote.\n" +
			"A key that the keyring has stays as it is, and is refused where it differs. Do it before the first start, and remove the files\n" +
			"after the servers came up. Keys of SB_KMS=local are not taken: they would lie beside what they seal.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withRing(cmd.Context(), func(ring store.Keyring) error {
				return importKeys(cmd.Context(), ring, args[0], cmd.OutOrStdout())
			})
		},
	}, &cobra.Command{
		Use: "forget-probe", Short: "have the next start take the key manager as it is", Args: cobra.NoArgs,
		Long: "Removes the probe by which a start proves that the key manager opens what is stored. Do it only where every value that is\n" +
			"sealed now may be lost, or where fingerprints may begin anew.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withRing(cmd.Context(), func(ring store.Keyring) error { return ring.Remove(cmd.Context(), probeFile) })
		},
	})
	return root
}

// withRing does something with the keyring of the configured database.
func withRing(ctx context.Context, do func(store.Keyring) error) error {
	s, err := loadSettings()
	if err != nil {
		return err
	}
	if s.DatabaseURL == "" {
		return fmt.Errorf("SB_DATABASE_URL is not set: with a private Postgres the keys are files in %s", s.path("keys"))
	}
	ring, done, err := openRing(ctx, s)
	if err != nil {
		return err
	}
	defer done()
	return do(ring)
}

// openRing opens the keyring in the operator's database, without proving what is in it.
func openRing(ctx context.Context, s settings) (store.Keyring, func(), error) {
	d, err := openDatabase(ctx, s, s.logger())
	if err != nil {
		return store.Keyring{}, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, kmsStartTimeout)
	defer cancel()
	km, err := s.backend(ctx, false, s.logger())
	if err == nil {
		if err = km.Check(ctx); err != nil {
			closeKMS(km)
			err = fmt.Errorf("key manager %s cannot serve: %w", s.KMS.Backend, err)
		}
	}
	if err != nil {
		d.close()
		return store.Keyring{}, nil, err
	}
	return store.Keyring{Pool: d.pool, Keys: km, Now: time.Now}, func() { closeKMS(km); d.close() }, nil
}

func listKeys(ctx context.Context, ring store.Keyring, out io.Writer) error {
	all, err := ring.List(ctx)
	if err != nil {
		return err
	}
	for _, k := range all {
		fmt.Fprintf(out, "%s\trevision %d\tunder %s\tsince %s\n", k.Name, k.Revision, k.KMSKey, k.Changed.Format(time.RFC3339))
	}
	return nil
}

// importedKeys are the files that are taken, and the names that they get.
func importedKeys() map[string]string {
	names := map[string]string{signingFile: signingFile, oldSigningFile: oldSigningFile, checkpointFile: checkpointFile, writerFile: writerFile, probeFile: probeFile}
	for _, seed := range nats.SeedNames() { // below nats/ in a data directory, and at the top after nats init
		names[authorityFolder+seed], names[seed] = authorityFolder+seed, authorityFolder+seed
	}
	return names
}

// importKeys takes what a folder has. It is right to run it again after it was interrupted.
func importKeys(ctx context.Context, ring keyring, dir string, out io.Writer) error {
	taken := 0
	names := importedKeys()
	for _, file := range slices.Sorted(maps.Keys(names)) {
		name := names[file]
		key, err := private.Read(filepath.Join(dir, filepath.FromSlash(path.Clean(file))))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = importKey(ctx, ring, name, key, out)
		clear(key)
		if err != nil {
			return err
		}
		taken++
	}
	if taken == 0 {
		return fmt.Errorf("%s has no key of Secrets Bridge: give the folder keys of a data directory, or what sb-server nats init wrote", dir)
	}
	return nil
}

func importKey(ctx context.Context, ring keyring, name string, key []byte, out io.Writer) error {
	_, err := ring.Create(ctx, name, key)
	if !errors.Is(err, fs.ErrExist) {
		if err == nil {
			fmt.Fprintf(out, "%s is taken\n", name)
		}
		return err
	}
	there, _, err := ring.Read(ctx, name)
	if err != nil {
		return err
	}
	defer clear(there)
	if string(there) != string(key) {
		return fmt.Errorf("the keyring has another %s, which stays: import into an empty keyring only", name)
	}
	fmt.Fprintf(out, "%s is there already\n", name)
	return nil
}

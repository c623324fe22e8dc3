package postgres

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// ErrNotInstalled says that this machine has no Postgres server binaries.
var ErrNotInstalled = errors.New("no Postgres server binaries found; install them, on Debian and Ubuntu with: apt-get install postgresql")

// debianBinaries is where Debian's packages put the server: it is not on PATH.
const debianBinaries = "/usr/lib/postgresql/*/bin"

// Binaries returns the folder with initdb, postgres and their companions: behind the links on PATH,
// because the server finds its own files from its real place, or else the newest of
// Debian's folders.
func Binaries() (string, error) {
	if found, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(found); err == nil && hasBinaries(filepath.Dir(real)) {
			return filepath.Dir(real), nil
		}
	}
	folders, err := filepath.Glob(debianBinaries)
	if err != nil {
		return "", fmt.Errorf("look for Postgres: %w", err)
	}
	slices.SortFunc(folders, func(a, b string) int { return majorVersion(b) - majorVersion(a) })
	for _, folder := range folders {
		if hasBinaries(folder) {
			return folder, nil
		}
	}
	return "", ErrNotInstalled
}

// majorVersion reads 15 out of /usr/lib/postgresql/15/bin; 0 if there is none.
func majorVersion(folder string) int {
	version, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	return version
}

func hasBinaries(folder string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

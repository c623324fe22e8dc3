package container

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Binary reads a program of this machine's architecture from bin/, where `make build` puts it.
func Binary(name string) ([]byte, error) {
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(here), "..", "..", "bin", name)
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: run make build, or make test-deploy, which does so first", err)
	}
	return binary, nil
}

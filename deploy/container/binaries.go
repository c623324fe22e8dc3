package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Binary reads a program of this machine's architecture from bin/, where `make build` puts it.
func Binary(name string) ([]byte, error) {
	root, err := Repository()
	if err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(filepath.Join(root, "bin", name))
	if err != nil {
		return nil, fmt.Errorf("%w: run make build, or make test-deploy, which does so first", err)
	}
	return binary, nil
}

// Repository is the folder of the repository, found from the folder that a test runs in: paths in
// what is compiled are no places on a disk (-trimpath).
func Repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "deploy", "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", errors.New(dir + " lies in no copy of the repository")
		}
	}
}

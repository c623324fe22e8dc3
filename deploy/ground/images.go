package ground

import (
	"bytes"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"secretsbridge/deploy/container"
	"secretsbridge/deploy/image"
)

// Unpack builds the image of a program and unpacks it.
func Unpack(t *testing.T, name string) container.Container {
	t.Helper()
	binary, err := container.Binary(name)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(image.Programs, func(p image.Program) bool { return p.Name == name })
	built, err := image.Build(image.Programs[i], runtime.GOARCH, binary, image.Options{Version: "0", Created: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := container.Unpack(built, Folder(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Run runs a container to its end.
func Run(t *testing.T, c container.Container) (stdout, stderr string, code int) {
	t.Helper()
	return RunWith(t, c, "")
}

// RunWith does so with an input.
func RunWith(t *testing.T, c container.Container, stdin string) (stdout, stderr string, code int) {
	t.Helper()
	cmd, err := c.Command()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil && (cmd.ProcessState == nil || errors.Is(err, fs.ErrNotExist)) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// Package container runs what is in an image as a cluster under Pod Security's level "restricted"
// would, with what Linux alone has: a root that cannot be written, an account that is not root, no
// capability and no new privileges. It makes no network of its own. It is for tests, and needs root
// for the mounts.
package container

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sys/unix"
)

// spec is the variable that tells [Init] that this process is to become a container.
const spec = "SB_TEST_CONTAINER"

// Mount puts a file or folder of the host into a container.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

// Container is a process in an unpacked image. Env holds all of its environment.
type Container struct {
	Root     string
	Path     string
	Args     []string // without the program's own name
	Env      []string
	UID, GID int
	Groups   []int
	Mounts   []Mount
	Writable bool // the root can be written to
}

// Init makes this process a container if [Container.Command] began it, and does not return then.
// TestMain calls it first.
func Init() {
	text := os.Getenv(spec)
	if text == "" {
		return
	}
	var c Container
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.become()
	}
	fmt.Fprintln(os.Stderr, "container:", err)
	os.Exit(125)
}

// Command is the container's process, not started.
func (c Container) Command() (*exec.Cmd, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	for _, m := range c.Mounts {
		if err := c.mountpoint(m); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{spec + "=" + string(text)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd, nil
}

// mountpoint makes the place of a mount, as runtimes do.
func (c Container) mountpoint(m Mount) error {
	info, err := os.Stat(m.Source)
	if err != nil {
		return err
	}
	at := filepath.Join(c.Root, m.Target)
	if info.IsDir() {
		return os.MkdirAll(at, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(at, os.O_CREATE, 0o444)
	if err != nil {
		return err
	}
	return file.Close()
}

// become gives up everything that a container has not and executes its program. Linux keeps
// capabilities and the mark no_new_privs for each thread; exec ends all but this one.
func (c Container) become() error {
	runtime.LockOSThread()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	bind := func(source, target string, readOnly bool) error {
		if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s: %w", target, err)
		}
		if readOnly {
			if err := unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID, ""); err != nil {
				return fmt.Errorf("mount %s read-only: %w", target, err)
			}
		}
		return nil
	}
	if err := bind(c.Root, c.Root, !c.Writable); err != nil {
		return err
	}
	for _, m := range append([]Mount{{Source: "/proc", Target: "/proc"}, {Source: "/dev", Target: "/dev"}}, c.Mounts...) {
		if err := bind(m.Source, filepath.Join(c.Root, m.Target), m.ReadOnly); err != nil {
			return err
		}
	}
	if err := errors.Join(unix.Chroot(c.Root), unix.Chdir("/")); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	for capability := range uintptr(64) {
		_ = unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0) // numbers that the kernel does not know
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	if err := errors.Join(syscall.Setgroups(c.Groups), syscall.Setresgid(c.GID, c.GID, c.GID), syscall.Setresuid(c.UID, c.UID, c.UID)); err != nil {
		return fmt.Errorf("become %d: %w", c.UID, err)
	}
	return syscall.Exec(c.Path, append([]string{c.Path}, c.Args...), c.Env)
}

// Unpack puts the files of an image below dir, with their modes and owners, and returns how the
// image says that it runs.
func Unpack(image v1.Image, dir string) (Container, error) {
	file, err := image.ConfigFile()
	if err != nil {
		return Container{}, err
	}
	files := mutate.Extract(image)
	defer files.Close()
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Container{}, err
		}
		if err := put(dir, h, r); err != nil {
			return Container{}, fmt.Errorf("unpack %s: %w", h.Name, err)
		}
	}
	for _, name := range []string{"proc", "dev"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return Container{}, err
		}
	}
	c := Container{Root: dir, Path: file.Config.Entrypoint[0], Args: append(file.Config.Entrypoint[1:], file.Config.Cmd...), Env: file.Config.Env}
	if _, err := fmt.Sscanf(file.Config.User, "%d:%d", &c.UID, &c.GID); err != nil {
		return Container{}, fmt.Errorf("the image's user is %q, and no two numbers: %w", file.Config.User, err)
	}
	return c, nil
}

func put(dir string, h *tar.Header, content io.Reader) error {
	if !filepath.IsLocal(filepath.FromSlash(strings.TrimSuffix(h.Name, "/"))) {
		return errors.New("it lies outside")
	}
	at := filepath.Join(dir, h.Name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil { // the last layer comes first
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
	case tar.TypeReg:
		file, err := os.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	default:
		return fmt.Errorf("it is neither file nor folder (%c)", h.Typeflag)
	}
	return errors.Join(os.Chown(at, h.Uid, h.Gid), unix.Chmod(at, uint32(h.Mode)))
}

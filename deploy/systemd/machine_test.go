package systemd_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"secretsbridge/deploy/ground"
)

// boot makes this process a machine: everything of this one below a layer that is thrown away, kernel
// variables that cannot be written, cgroups of its own, and systemd as process 1. $0 is a folder with the
// layer's own files.
const boot = `
mount --make-rprivate /
mount -t tmpfs tmpfs "$0/layer"
mkdir "$0/layer/files" "$0/layer/work"
cp -a "$0/own/." "$0/layer/files/"
mount -t overlay overlay -o "lowerdir=/,upperdir=$0/layer/files,workdir=$0/layer/work" "$0/root"
cd "$0/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount --rbind /dev dev
mount -t sysfs -o ro sysfs sys
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	mount -t cgroup2 cgroup2 sys/fs/cgroup
else
	mount -t tmpfs tmpfs sys/fs/cgroup
	mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
	mount -t cgroup -o none,name=systemd systemd sys/fs/cgroup/systemd
	mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
fi
mkdir -p run/before
pivot_root . run/before # in a chroot, PrivateUsers= could make no user namespace (clone(2))
umount -l /run/before
mount --make-rshared / # as systemd does itself where it is in no container: credentials are mounted from a namespace of their own
exec /usr/bin/env -i PATH="$PATH" container=test /lib/systemd/systemd --system --unit=machine.target --log-target=journal --show-status=no
`

// machine runs systemd. Its network is that of the test.
type machine struct {
	pid int // of systemd, outside
}

// startMachine boots one with files of its own, by their paths.
func startMachine(t *testing.T, files map[string]string) *machine {
	t.Helper()
	dir := ground.Folder(t)
	for _, name := range []string{"own", "layer", "root"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files["etc/systemd/system/machine.target"] = "[Unit]\nDescription=a machine of a test\nRequires=sysinit.target\nAfter=sysinit.target\nAllowIsolate=yes\n"
	files["etc/systemd/journald.conf.d/test.conf"] = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\n" // the kernel's lines are others'
	for path, text := range files {
		at := filepath.Join(dir, "own", path)
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	// What would change the kernel for others, or waits for hardware.
	for _, name := range []string{"systemd-sysctl", "systemd-binfmt", "systemd-modules-load", "systemd-udevd", "systemd-udev-trigger", "systemd-remount-fs", "systemd-random-seed", "systemd-update-utmp"} {
		if err := os.Symlink("/dev/null", filepath.Join(dir, "own/etc/systemd/system", name+".service")); err != nil {
			t.Fatal(err)
		}
	}
	join, leave := cgroups(t)
	cmd := exec.Command("unshare", "--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--cgroup", "sh", "-euc", boot, dir)
	var said ground.Log
	cmd.Stdout, cmd.Stderr = &said, &said
	join(func() {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	})
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	m := &machine{}
	t.Cleanup(func() {
		_ = syscall.Kill(m.pid, syscall.SIGKILL) // process 1 takes all others with it
		_ = cmd.Process.Kill()
		<-ended
		leave()
	})
	ground.Eventually(t, "systemd is process 1", &said, func() bool {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		if _, scan := fmt.Sscan(string(children), &m.pid); err != nil || scan != nil {
			return false
		}
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", m.pid))
		return err == nil && strings.TrimSpace(string(name)) == "systemd"
	})
	ground.Eventually(t, "the machine is up", &said, func() bool {
		_, err := m.run("/", "systemctl is-active machine.target")
		return err == nil
	})
	return m
}

// cgroups makes groups for a machine, in each hierarchy that systemd uses. What starts within join is in them.
func cgroups(t *testing.T) (join func(func()), leave func()) {
	t.Helper()
	var groups []string
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"} {
		if _, err := os.Stat(filepath.Join(hierarchy, "cgroup.procs")); err != nil {
			continue
		}
		group, err := os.MkdirTemp(hierarchy, "sb-test-")
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, group)
	}
	move := func(pid int, to func(group string) string) {
		for _, group := range groups {
			if err := os.WriteFile(filepath.Join(to(group), "cgroup.procs"), fmt.Append(nil, pid), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	join = func(start func()) {
		before := map[string]string{}
		for _, group := range groups {
			before[group] = filepath.Join(filepath.Dir(group), own(t, filepath.Dir(group)))
		}
		move(os.Getpid(), func(group string) string { return group })
		start()
		move(os.Getpid(), func(group string) string { return before[group] })
	}
	leave = func() {
		for _, group := range groups {
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) { // processes that were killed are still going
				_ = exec.Command("find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run()
				if _, err := os.Stat(group); err != nil {
					break
				}
			}
		}
	}
	return join, leave
}

// own is the path of this process' group in a hierarchy.
func own(t *testing.T, hierarchy string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if v2 := f[1] == ""; v2 != strings.HasSuffix(hierarchy, "/systemd") && (v2 || f[1] == "name=systemd") {
			return f[2]
		}
	}
	t.Fatalf("this process is in no group of %s:\n%s", hierarchy, text)
	return ""
}

// run runs a script in the machine, as root. It is given time as any wait of these tests: the page waits without end.
func (m *machine) run(dir, script string) (string, error) {
	cmd := exec.Command("nsenter", "--target", fmt.Sprint(m.pid), "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wdns="+dir, "timeout", fmt.Sprint(ground.Patience.Seconds()), "bash", "-eu", "-o", "pipefail", "-c", script)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin", "HOME=/root"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

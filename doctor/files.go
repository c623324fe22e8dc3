package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"secretsbridge/internal/private"
)

// How little of a disk may be free. A log that cannot be written stops the server, so it is told of
// while there is time.
const (
	spaceWarns   = 0.10 // of the disk
	spaceEnough  = 20 << 30
	spaceFails   = 256 << 20
	inodesWarn   = 0.05
	maxListed    = 5
	maxKeysFiles = 10_000
)

// Space says how much of the disk is free that a folder is on.
func Space(dir string) Seen {
	next := "free space or make the disk larger: a server whose log cannot be written stops; docs/capacity.md says how much it grows"
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return Unsure("look at the folder: ls -ld "+dir, "%s: %v", dir, err)
	}
	free, all := float64(s.Bavail)*float64(s.Bsize), float64(s.Blocks)*float64(s.Bsize)
	text := fmt.Sprintf("%.1f of %.1f GB are free at %s", free/1e9, all/1e9, dir)
	switch {
	case free < spaceFails:
		return Fail(next, "%s", text)
	case free < spaceWarns*all && free < spaceEnough:
		return Warn(next, "%s", text)
	case s.Files > 0 && float64(s.Ffree) < inodesWarn*float64(s.Files):
		return Warn(next, "%s, and %d files can be made, of %d", text, s.Ffree, s.Files)
	}
	return Fine("%s", text)
}

// Folder says whether a folder is its owner's alone to write, and that owner this user or root.
func Folder(dir string) Seen {
	info, err := os.Stat(dir)
	if err != nil {
		return Fail("make the folder, or look at who may enter the ones above it", "%v", err)
	}
	system, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return Fail("name a folder", "%s is no folder", dir)
	case !ok:
		return Unsure("", "%s: this system does not say who owns it", dir)
	case int(system.Uid) != os.Geteuid() && os.Geteuid() != 0:
		return Fail(fmt.Sprintf("run it as the user that owns %s, or chown it", dir), "%s belongs to user %d, and this is user %d", dir, system.Uid, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		return Fail("chmod go-w "+dir, "others may write to %s (mode %04o): they can put keys of their own there", dir, info.Mode().Perm())
	}
	return Fine("%s belongs to user %d, mode %04o", dir, system.Uid, info.Mode().Perm())
}

// PrivateFiles says whether all files of a folder and below it are such as nobody but their owner
// may read.
func PrivateFiles(dir string) Seen {
	var open []string
	count := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		if count++; count > maxKeysFiles {
			return fs.SkipAll
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if private.Exposed(info) {
			open = append(open, fmt.Sprintf("%s (mode %04o)", path, info.Mode().Perm()))
		}
		return nil
	})
	if err != nil {
		return Unsure("run it as the user that owns the files", "%v", err)
	}
	if len(open) > 0 {
		return Fail("chmod 600 them, and rotate what others could read: docs/operations/rotations.md", "others may read or write %s", Some(open))
	}
	return Fine("%d files in %s, none of them open to others", count, dir)
}

// Some names a few of many.
func Some(names []string) string {
	if len(names) <= maxListed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
}

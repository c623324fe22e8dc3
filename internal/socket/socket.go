// Package socket names Unix sockets whose paths are too long for an address.
package socket

import (
	"fmt"
	"os"
	"path/filepath"
)

// maxPath is the longest path of a Unix socket (unix(7): 108 bytes with the terminator).
const maxPath = 107

// At does something with a name of path that fits into a socket's address. A longer path
// is named through its folder's descriptor (proc(5), /proc/pid/fd), which holds for as
// long as do runs.
func At(path string, do func(short string) error) error {
	if len(path) <= maxPath {
		return do(path)
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return do(fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path)))
}

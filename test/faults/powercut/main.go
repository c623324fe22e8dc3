// Command powercut mounts a folder through a file system that can lose its power: what was
// written and not synced is then taken back, as LazyFS does (Ramos et al., VLDB 2024).
//
//	powercut FOLDER MOUNT
//
// It prints "ready" and takes commands, one a line, each answered by a line: "cut" loses every
// page that was not synced, "tear SEED" loses each with a chance of one half, as a disk does that
// writes in an order of its own; both say what was lost, and nothing is written from then on until
// "on". It ends, and unmounts, with its input.
//
// Not modelled: names. A file that was created, renamed or removed is so at once.
package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "powercut:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("%d arguments: write powercut FOLDER MOUNT", len(os.Args)-1)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(os.Args[1], &st); err != nil {
		return fmt.Errorf("stat %s: %w", os.Args[1], err)
	}
	d := newDisk()
	data := &fs.LoopbackRoot{Path: os.Args[1], Dev: st.Dev}
	data.NewNode = func(root *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
		return &node{fs.LoopbackNode{RootData: root}, d}
	}
	root := &node{fs.LoopbackNode{RootData: data}, d}
	data.RootNode = root
	server, err := fs.Mount(os.Args[2], root, &fs.Options{
		MountOptions: fuse.MountOptions{AllowOther: true, DirectMountStrict: true, FsName: "powercut", Name: "powercut", Options: []string{"default_permissions"}},
	})
	if err != nil {
		return fmt.Errorf("mount %s: %w", os.Args[2], err)
	}
	defer server.Unmount()
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		what, rest, _ := strings.Cut(lines.Text(), " ")
		var random *rand.Rand
		switch what {
		case "on":
			d.on()
			fmt.Println("on")
			continue
		case "tear":
			seed, err := strconv.ParseUint(rest, 10, 64)
			if err != nil {
				return fmt.Errorf("seed %q: %w", rest, err)
			}
			random = rand.New(rand.NewPCG(seed, 0))
		case "cut":
		default:
			return fmt.Errorf("%q is no command: write cut, tear SEED or on", what)
		}
		files, pages, err := d.cut(random)
		if err != nil {
			return fmt.Errorf("cut: %w", err)
		}
		fmt.Println("lost", pages, "pages of", files, "files;", d.syncs, "syncs")
	}
	return nil
}

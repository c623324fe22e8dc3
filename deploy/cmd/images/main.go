// Command images packs programs that are built already into container images. `make images` calls it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"secretsbridge/deploy/image"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run() error {
	var o image.Options
	binaries := flag.String("binaries", "", "folder with a folder linux-ARCH for each architecture, which has the programs")
	arches := flag.String("arch", "amd64,arm64", "architectures, with commas")
	out := flag.String("out", "", "folder that gets NAME/, an OCI layout with all architectures, and NAME-ARCH.tar for docker load")
	repository := flag.String("repository", "secrets-bridge", "what stands before the name in tags")
	notices := flag.String("notices", "", "file with the licences of what is linked, to put into the images")
	created := flag.Int64("created", 0, "time of everything in the images, in seconds since 1970")
	flag.StringVar(&o.Version, "version", "", "version, which is also the tag")
	flag.StringVar(&o.Revision, "revision", "", "hash of the commit")
	flag.StringVar(&o.Source, "source", "", "URL of the repository")
	flag.Parse()
	if *binaries == "" || *out == "" || o.Version == "" || *created <= 0 || flag.NArg() > 0 {
		return errors.New("--binaries, --out, --version and --created are needed, and nothing else than flags")
	}
	o.Created = time.Unix(*created, 0).UTC()
	if *notices != "" {
		text, err := os.ReadFile(*notices)
		if err != nil {
			return err
		}
		o.Notices = text
	}
	tag := strings.ReplaceAll(o.Version, "+", "-") // a tag has no plus
	for _, p := range image.Programs {
		var all []v1.Image
		for _, arch := range slices.Sorted(strings.SplitSeq(*arches, ",")) {
			binary, err := os.ReadFile(filepath.Join(*binaries, "linux-"+arch, p.Name))
			if err != nil {
				return err
			}
			built, err := image.Build(p, arch, binary, o)
			if err != nil {
				return err
			}
			if err := image.WriteTarball(filepath.Join(*out, p.Name+"-"+arch+".tar"), *repository+"/"+p.Name+":"+tag, built); err != nil {
				return err
			}
			all = append(all, built)
		}
		index, err := image.Index(all...)
		if err != nil {
			return err
		}
		if err := image.WriteLayout(filepath.Join(*out, p.Name), tag, index); err != nil {
			return err
		}
		digest, err := index.Digest()
		if err != nil {
			return err
		}
		fmt.Printf("%s/%s:%s  %s\n", *repository, p.Name, tag, digest)
	}
	return nil
}

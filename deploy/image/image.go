// Package image builds the container images: from scratch, without a daemon and without a base
// image. An image has one program, the authorities of the web, an account, and folders to mount
// at. There is no shell, no package and no file that the program does not need.
//
// The same program, authorities and options give the same bytes, so that anybody can build an
// image again and compare its digest.
package image

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// UID and GID are the account that programs run as, and that owns their folder. The number is
	// what distroless images call nonroot, so that policies of clusters know it.
	UID = 65532
	GID = 65532

	title = "Secrets Bridge"
)

// Program is what an image is of.
type Program struct {
	Name    string
	Summary string
	Home    string            // folder that belongs to the account, to mount a volume at; "" for none
	Args    []string          // what it runs as, unless told otherwise
	Env     map[string]string // what is set, unless told otherwise
	Ports   []int             // told to whoever asks; opens nothing
}

// Programs are the images that there are.
var Programs = []Program{
	{
		Name: "sb-server", Summary: "the control plane of Secrets Bridge", Home: "/var/lib/secrets-bridge", Args: []string{"serve"},
		Env:   map[string]string{"SB_PROFILE": "production", "SB_DATA_DIR": "/var/lib/secrets-bridge", "SB_LOG_FORMAT": "json"},
		Ports: []int{7422, 8443, 9090},
	},
	{
		Name: "sb-agent", Summary: "executes approved requests next to the providers of one cluster", Home: "/var/lib/sb-agent", Args: []string{"run"},
		Env: map[string]string{"SB_AGENT_DIR": "/var/lib/sb-agent/identity", "SB_AGENT_CONFIG": "/etc/sb-agent/agent.yaml"},
	},
	{Name: "sb", Summary: "the command line of Secrets Bridge", Args: []string{"--help"}},
}

// Options say which build an image is of.
type Options struct {
	Version  string    // semantic
	Revision string    // hash of the commit, or "" where it is not known
	Source   string    // URL of the repository, or ""
	Created  time.Time // of every file and of the image
	Notices  []byte    // text of all licences of what is linked; nil leaves it out
}

// Build makes the image of a program for Linux on one architecture ("amd64" or "arm64").
func Build(p Program, arch string, binary []byte, o Options) (v1.Image, error) {
	if !slices.Contains([]string{"amd64", "arm64"}, arch) {
		return nil, fmt.Errorf("image of %s: the architecture is %q: write amd64 or arm64", p.Name, arch)
	}
	if err := checkBinary(binary, arch); err != nil {
		return nil, fmt.Errorf("image of %s: %w", p.Name, err)
	}
	base, err := layer(baseFiles(p, o), o.Created)
	if err != nil {
		return nil, fmt.Errorf("image of %s: %w", p.Name, err)
	}
	program, err := layer([]entry{{path: "usr/local/bin/" + p.Name, mode: 0o555, content: binary}}, o.Created)
	if err != nil {
		return nil, fmt.Errorf("image of %s: %w", p.Name, err)
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	for _, l := range []struct {
		layer v1.Layer
		what  string
	}{{base, "account, authorities, folders"}, {program, p.Name}} {
		image, err = mutate.Append(image, mutate.Addendum{
			Layer:   l.layer,
			History: v1.History{Created: v1.Time{Time: o.Created}, CreatedBy: "deploy/image", Comment: l.what},
		})
		if err != nil {
			return nil, fmt.Errorf("image of %s: %w", p.Name, err)
		}
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image of %s: %w", p.Name, err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = "linux", arch, v1.Time{Time: o.Created}
	file.Config = config(p, o)
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return nil, fmt.Errorf("image of %s: %w", p.Name, err)
	}
	return image, nil
}

func config(p Program, o Options) v1.Config {
	env := []string{"PATH=/usr/local/bin"}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		env = append(env, name+"="+p.Env[name])
	}
	c := v1.Config{
		User: fmt.Sprintf("%d:%d", UID, GID), WorkingDir: "/", Env: env,
		Entrypoint: []string{"/usr/local/bin/" + p.Name}, Cmd: p.Args, Labels: labels(p, o),
	}
	for _, port := range p.Ports {
		if c.ExposedPorts == nil {
			c.ExposedPorts = map[string]struct{}{}
		}
		c.ExposedPorts[fmt.Sprintf("%d/tcp", port)] = struct{}{}
	}
	return c
}

// labels are those of the OCI image specification, annotations.md.
func labels(p Program, o Options) map[string]string {
	l := map[string]string{
		"org.opencontainers.image.title":       p.Name,
		"org.opencontainers.image.description": p.Summary,
		"org.opencontainers.image.vendor":      title,
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     o.Version,
		"org.opencontainers.image.created":     o.Created.Format(time.RFC3339),
	}
	if o.Revision != "" {
		l["org.opencontainers.image.revision"] = o.Revision
	}
	if o.Source != "" {
		l["org.opencontainers.image.source"] = o.Source
	}
	return l
}

// Index joins the images of one program for several architectures.
func Index(images ...v1.Image) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, image := range images {
		file, err := image.ConfigFile()
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: file.OS, Architecture: file.Architecture}},
		})
	}
	return index, nil
}

// layer packs entries, which all have the time created.
func layer(entries []entry, created time.Time) (v1.Layer, error) {
	packed, err := pack(entries, created)
	if err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return packed(), nil }, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

package charts_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"secretsbridge/deploy/container"
)

// node does with a pod's volumes what a kubelet does: it makes folders with the owners and modes
// that the pod asks for, and mounts them into containers that are unpacked images.
type node struct {
	dir     string
	objects []metav1.Object
	secrets map[string]map[string]string // by name and key; what the chart expects to be there
	configs map[string]map[string]string // likewise, besides those of objects
	volumes map[string]string            // folders by name; what is claimed outlives pods
}

// mode is that of files of ConfigMaps and Secrets: as written, readable by the pod's group
// (kubelet, SetVolumeOwnership for a read-only volume: mode | 0440).
func (n *node) mode(pod corev1.PodSpec, want *int32) os.FileMode {
	mode := os.FileMode(corev1.SecretVolumeSourceDefaultMode)
	if want != nil {
		mode = os.FileMode(*want)
	}
	if pod.SecurityContext != nil && pod.SecurityContext.FSGroup != nil {
		mode |= 0o440
	}
	return mode
}

// prepare makes the volumes of a pod.
func (n *node) prepare(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	group := 0
	if pod.SecurityContext != nil && pod.SecurityContext.FSGroup != nil {
		group = int(*pod.SecurityContext.FSGroup)
	}
	for _, v := range pod.Volumes {
		at := filepath.Join(n.dir, v.Name)
		if err := n.volume(v, pod, at, group); err != nil {
			t.Fatalf("volume %s: %v", v.Name, err)
		}
		n.volumes[v.Name] = at
	}
}

func (n *node) volume(v corev1.Volume, pod corev1.PodSpec, at string, group int) error {
	switch {
	case v.PersistentVolumeClaim != nil:
		// A fresh file system belongs to root; the kubelet gives it to the group, once, because of
		// OnRootMismatch. Every other policy would let the group into all files below it.
		info, err := os.Stat(at)
		if err != nil {
			return n.give(at, 0o2775, group)
		}
		if p := pod.SecurityContext.FSGroupChangePolicy; p == nil || *p != corev1.FSGroupChangeOnRootMismatch {
			return filepath.WalkDir(at, func(path string, _ os.DirEntry, err error) error {
				if err != nil {
					return err
				}
				if info, err = os.Lstat(path); err != nil {
					return err
				}
				return errors.Join(os.Lchown(path, -1, group), os.Chmod(path, info.Mode()|0o660))
			})
		}
		return nil
	case v.EmptyDir != nil:
		return n.give(at, 0o2777, group)
	case v.ConfigMap != nil:
		content, ok := n.configs[v.ConfigMap.Name]
		for _, c := range of[*corev1.ConfigMap](n.objects) {
			if c.Name == v.ConfigMap.Name {
				content, ok = c.Data, true
			}
		}
		if !ok {
			return fmt.Errorf("there is no ConfigMap %s", v.ConfigMap.Name)
		}
		return n.files(at, content, v.ConfigMap.Items, n.mode(pod, v.ConfigMap.DefaultMode), group)
	case v.Secret != nil:
		content, ok := n.secrets[v.Secret.SecretName]
		if !ok && (v.Secret.Optional == nil || !*v.Secret.Optional) {
			return fmt.Errorf("there is no Secret %s", v.Secret.SecretName)
		}
		return n.files(at, content, v.Secret.Items, n.mode(pod, v.Secret.DefaultMode), group)
	}
	return errors.New("the test knows no such volume")
}

func (n *node) give(dir string, mode uint32, group int) error {
	return errors.Join(os.MkdirAll(dir, 0o755), os.Chown(dir, 0, group), chmod(dir, mode))
}

// files lays files out as the kubelet does: names are links into a folder that is replaced as a
// whole when the content changes.
func (n *node) files(at string, content map[string]string, items []corev1.KeyToPath, mode os.FileMode, group int) error {
	if err := os.RemoveAll(at); err != nil {
		return err
	}
	if err := n.give(at, 0o2777, group); err != nil {
		return err
	}
	if err := n.give(filepath.Join(at, "..2026"), 0o755, group); err != nil {
		return err
	}
	if err := os.Symlink("..2026", filepath.Join(at, "..data")); err != nil {
		return err
	}
	paths := map[string]string{}
	for _, item := range items {
		if _, ok := content[item.Key]; !ok {
			return fmt.Errorf("there is no key %s", item.Key)
		}
		paths[item.Key] = item.Path
	}
	for key, text := range content {
		path := key
		if items != nil {
			if path = paths[key]; path == "" {
				continue
			}
		}
		file := filepath.Join(at, "..2026", path)
		if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chown(file, 0, group), os.Chmod(file, mode)); err != nil {
			return err
		}
		if err := os.Symlink(filepath.Join("..data", path), filepath.Join(at, path)); err != nil {
			return err
		}
	}
	return nil
}

// container is a container of a pod, with the image unpacked at root: what runs with those arguments,
// environment and mounts, and nothing of this machine's own.
func (n *node) container(t *testing.T, pod corev1.PodSpec, c corev1.Container, image container.Container) container.Container {
	t.Helper()
	run := image
	run.Env = append([]string(nil), image.Env...)
	for _, e := range c.Env {
		value := e.Value
		if from := e.ValueFrom; from != nil {
			if from.SecretKeyRef == nil {
				t.Fatalf("variable %s comes from where the test knows nothing of", e.Name)
			}
			content, ok := n.secrets[from.SecretKeyRef.Name][from.SecretKeyRef.Key]
			if !ok {
				t.Fatalf("variable %s: there is no key %s in Secret %s", e.Name, from.SecretKeyRef.Key, from.SecretKeyRef.Name)
			}
			value = content
		}
		run.Env = slices.DeleteFunc(run.Env, func(of string) bool { return strings.HasPrefix(of, e.Name+"=") }) // the image's
		run.Env = append(run.Env, e.Name+"="+value)
	}
	if len(c.Command) > 0 {
		run.Path, run.Args = c.Command[0], c.Command[1:]
	}
	if len(c.Args) > 0 {
		run.Args = c.Args
	}
	run.UID, run.GID = int(*pod.SecurityContext.RunAsUser), int(*pod.SecurityContext.RunAsGroup)
	if pod.SecurityContext.FSGroup != nil {
		run.Groups = []int{int(*pod.SecurityContext.FSGroup)}
	}
	run.Writable = c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem
	run.Mounts = nil
	for _, m := range c.VolumeMounts {
		source, ok := n.volumes[m.Name]
		if !ok {
			t.Fatalf("container %s mounts volume %s, which the pod has not", c.Name, m.Name)
		}
		run.Mounts = append(run.Mounts, container.Mount{Source: filepath.Join(source, m.SubPath), Target: m.MountPath, ReadOnly: m.ReadOnly})
	}
	return run
}

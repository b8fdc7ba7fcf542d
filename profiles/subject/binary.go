package subject

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// readBinary identifies a program file. A program that is not Go's has no build
// information, and a hash all the same.
func readBinary(path string) (runfolder.Binary, error) {
	sum, err := hashFile(path)
	if err != nil {
		return runfolder.Binary{}, err
	}
	b := runfolder.Binary{SHA256: sum}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return b, nil
	}
	b.GoVersion, b.Package = info.GoVersion, info.Path
	b.Module, b.Version = info.Main.Path, info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		}
	}
	return b, nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

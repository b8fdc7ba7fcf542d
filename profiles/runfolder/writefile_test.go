package runfolder

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestWriteFileKeepsWhatIsNoFile: as root, replacing /dev/null by a file would break
// the system.
func TestWriteFileKeepsWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe, link, target := filepath.Join(dir, "pipe"), filepath.Join(dir, "link"), filepath.Join(dir, "target")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte("what was there before"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		text, _ := os.ReadFile(pipe) // waits for the writer
		read <- string(text)
	}()
	for path, mode := range map[string]os.FileMode{pipe: os.ModeNamedPipe, link: os.ModeSymlink} {
		err := WriteFile(path, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err })
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode().Type() != mode {
			t.Errorf("%s is now %v (%v)", path, info, err)
		}
	}
	text, err := os.ReadFile(target)
	if got := <-read; err != nil || got != "new" || string(text) != "new" {
		t.Errorf("the pipe had %q, the file has %q (%v)", got, text, err)
	}
}

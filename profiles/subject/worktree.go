//go:build unix

package subject

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// worktree is a commit that is checked out in a folder of its own. As long as its
// maker lives, the maker holds a lock on a file beside the folder, which names
// the repository: a folder whose file is not locked is a leftover.
type worktree struct {
	dir        string
	repository string // its .git folder
	lock       *os.File
}

const lockSuffix = ".lock"

// addWorktree checks a commit out. The caller must remove it.
func (b Build) addWorktree(ctx context.Context, commit string) (*worktree, error) {
	repository, err := b.git(ctx, "rev-parse", "--path-format=absolute", "--git-common-dir")
	if err != nil {
		return nil, err
	}
	t := &worktree{dir: filepath.Join(b.worktrees(), commit[:12]+"-"+rand.Text()), repository: repository}
	if err := t.claim(b.worktrees()); err != nil {
		return nil, err
	}
	if err := b.checkOut(ctx, t.dir, commit); err != nil {
		return nil, errors.Join(err, t.remove())
	}
	return t, nil
}

// checkOut adds a worktree, one at a time: git reads what others have half written.
func (b Build) checkOut(ctx context.Context, dir, commit string) error {
	unlock, err := lockFolder(b.worktrees())
	if err != nil {
		return err
	}
	defer unlock()
	_, err = b.git(ctx, "worktree", "add", "--quiet", "--detach", dir, commit)
	return err
}

// claim makes the lock. Meanwhile nobody looks for leftovers.
func (t *worktree) claim(folder string) error {
	unlock, err := lockFolder(folder)
	if err != nil {
		return err
	}
	defer unlock()
	if t.lock, err = os.Create(t.dir + lockSuffix); err != nil {
		return err
	}
	if err := unix.Flock(int(t.lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking %s: %w", t.lock.Name(), err)
	}
	_, err = t.lock.WriteString(t.repository)
	return err
}

// remove removes the folder and what the repository knows of it, nothing else.
func (t *worktree) remove() error {
	err := os.RemoveAll(t.dir)
	known, _ := filepath.Glob(filepath.Join(t.repository, "worktrees", "*", "gitdir")) // the pattern is valid
	for _, file := range known {
		text, readErr := os.ReadFile(file)
		if readErr == nil && strings.TrimSpace(string(text)) == filepath.Join(t.dir, ".git") {
			err = errors.Join(err, os.RemoveAll(filepath.Dir(file)))
		}
	}
	_ = os.Remove(filepath.Join(t.repository, "worktrees")) // if it was the last, as git does
	if err != nil {
		return fmt.Errorf("removing the worktree %s: %w", t.dir, err)
	}
	_ = os.Remove(t.lock.Name())
	return t.lock.Close()
}

// removeStale removes the worktrees of processes that were killed. What cannot be
// removed is left to the next try.
func (b Build) removeStale() {
	unlock, err := lockFolder(b.worktrees())
	if err != nil {
		return
	}
	defer unlock()
	locks, _ := filepath.Glob(filepath.Join(b.worktrees(), "*-*"+lockSuffix)) // the pattern is valid
	for _, name := range locks {
		removeIfStale(name)
	}
}

func removeIfStale(name string) {
	lock, err := os.Open(name)
	if err != nil {
		return
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	repository, readErr := os.ReadFile(name)
	if err != nil || readErr != nil { // its maker lives
		_ = lock.Close()
		return
	}
	t := &worktree{dir: strings.TrimSuffix(name, lockSuffix), repository: string(repository), lock: lock}
	_ = t.remove()
}

// lockFolder waits for the lock of a folder.
func lockFolder(folder string) (unlock func(), err error) {
	f, err := os.Create(filepath.Join(folder, "lock"))
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", f.Name(), err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}
